import type { ProblemCode } from '../problem.ts';

/** What each code means and what to do; shown at /docs/problems. */
export const PROBLEM_PARAGRAPHS: Readonly<Record<ProblemCode, string>> = {
  malformed_json:
    'The body could not be parsed; the detail says where. Nothing of the request was taken. Check that the body is one JSON document, or one document a line with Content-Type application/x-ndjson.',
  undecodable_body:
    'The body is not what Content-Encoding or UTF-8 promise: the compressed stream is broken, or a byte is no valid UTF-8. Send it again without compression to find out which.',
  no_events: 'The body was read and holds not one event: an empty array, or only empty lines.',
  invalid_request:
    'A member of the body, a parameter or a header breaks its schema. Each entry of errors names one (pointer for the body, parameter for path and query) and says what was expected. Unknown members are refused too, so that a misspelt one is never silently ignored.',
  invalid_catalog:
    'The request is well-formed, but the rate card or charge model does not hold together: two prices tie, a total is priced with its parts, a meter does not exist. Each entry of errors has a remedy. Of a whole catalog every entry at fault is named, and nothing of it is applied.',
  unauthenticated:
    'There is no key in the request, or the key is unknown, expired or revoked. Send Authorization: Bearer and the key; x-api-key works as well.',
  policy_refused:
    'A policy in force does not admit the request. scope names the policy and its version, action what it says, and decision the record, which GET /v1/decisions shows with its inputs. Nothing was set aside. Change the request, or ask whoever owns the policy.',
  budget_exceeded:
    'A budget or a wallet has not enough left for what the hold asks, so nothing was set aside. scope names the limit that refused, with limit, committed, held and available; fits says the largest output bound that would have been admitted. Ask for less, wait for the next window, or raise the limit.',
  forbidden:
    'The key is good, but its role and scopes do not allow this. The detail names the scope that is missing. Ask for a key with it, or use another one.',
  not_found:
    'There is no such thing in the environment of this key. What belongs to another environment answers exactly like what does not exist.',
  method_not_allowed: 'The path exists and does not take this method; the Allow header lists those it takes.',
  conflict:
    'The request contradicts what is there: another definition of an existing meter, another currency of a wallet, an Idempotency-Key that was used for another request. The detail says which; reading the present state helps to decide.',
  body_too_large: 'The decoded body passes the limit that the detail names. Send events in smaller batches.',
  too_many_events: 'One request holds at most 5,000 events: they are recorded in one transaction. Split the batch.',
  unsupported_media_type:
    'The Content-Type is none that this operation reads. Events take JSON, CloudEvents JSON and NDJSON; everything else takes application/json.',
  unsupported_encoding: 'Content-Encoding may be gzip, zstd or absent.',
  rate_limited:
    'This key has used up its requests for now. Retry-After says when to send the request again. The limit is the key’s own requests_per_minute.',
  internal_error:
    'The server failed in a way nobody foresaw, and nothing of this request was recorded. The log of the server has the request_id with the cause.',
  unavailable:
    'The database does not answer, so nothing was written. Send the request again after Retry-After; events keep their identity, so repeating them is harmless.',
  too_slow:
    'A question took the database longer than it may, and was ended; nothing was changed. Ask for a shorter range, one customer or a smaller page, or send it again when the service is less busy.',
  overloaded:
    'More requests wait for the database than this process holds. Send it again after Retry-After, with growing pauses; larger batches help most.',
  maybe_recorded:
    'The connection to the database was lost while the commit was under way, so it may or may not have happened. Send the same request again: events are recognised by their identity, other writes by their Idempotency-Key.',
};
