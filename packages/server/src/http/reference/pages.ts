import { PROBLEMS, type ProblemCode } from '../problem.ts';
import { PROBLEM_PARAGRAPHS } from './problem-paragraphs.ts';

/** Pages of this server, as HTML without script or style inside: their policy allows only what this server serves. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const;

function layout(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/reference.css">
${head}</head>
${body}
</html>
`;
}

/** `GET /`: what this is and how to send the first event. @param origin of the request, for commands that can be pasted. */
export function landingPage(origin: string, version: string): string {
  const event = `curl ${origin}/v1/events \\
  -H "Authorization: Bearer $ERGON_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"id":"req_1","type":"llm.call","subject":"acme",
       "data":{"provider":"openai","model":"gpt-5-mini",
               "tokens":{"input":1200,"output":340}}}'`;
  const usage = `curl "${origin}/v1/usage?meter=output_tokens&group_by=model&customer=acme" \\
  -H "Authorization: Bearer $ERGON_API_KEY"`;
  return layout(
    'Ergon',
    `<body class="page"><main>
<h1>Ergon <small>${escapeHtml(version)}</small></h1>
<p>Ergon meters the work that AI does, prices it and keeps it inside its budget. When an event is acknowledged it is already
durable, deduplicated, attributed, metered, rated and debited.</p>
<h2>Send the first event</h2>
<p>The key was printed when the server first started; it stands in the data directory too. Send the same event again: it
answers <code>duplicate</code>, and nothing is counted twice.</p>
<pre tabindex="0"><code>${escapeHtml(event)}</code></pre>
<h2>See it metered</h2>
<pre tabindex="0"><code>${escapeHtml(usage)}</code></pre>
<h2>Go on</h2>
<ul>
<li><a href="/docs">API reference</a>, of this very server, also offline</li>
<li><a href="/openapi.json">OpenAPI 3.1 document</a></li>
<li><a href="/docs/problems">Problems</a>: every error code, what it means and what to do</li>
<li><a href="/healthz">Health</a>, <a href="/readyz">readiness</a>, <a href="/metrics">metrics</a></li>
</ul>
</main></body>`,
  );
}

/** `GET /docs`: filled by reference.js from /openapi.json. */
export function referencePage(): string {
  return layout(
    'Ergon API reference',
    `<body class="reference">
<a class="skip" href="#content">Skip to the content</a>
<nav aria-label="Operations">
<p><a href="/">Ergon</a> · <a href="/docs/problems">Problems</a> · <a href="/openapi.json">OpenAPI</a></p>
<label for="search">Search <kbd>/</kbd></label>
<input id="search" type="search" autocomplete="off" spellcheck="false">
<div id="index" role="list"></div>
<p id="none" hidden>No operation has these words.</p>
</nav>
<main id="content" tabindex="-1"><h1>API reference</h1><p id="loading">Reading /openapi.json …</p>
<noscript><p>This page needs JavaScript; <a href="/openapi.json">the document</a> does not.</p></noscript></main>
</body>`,
    '<script src="/docs/reference.js" defer></script>\n',
  );
}

/** `GET /docs/problems`: the page that the `type` of every problem points into. */
export function problemsPage(): string {
  const codes = Object.keys(PROBLEMS) as ProblemCode[];
  const sections = codes.map((code) => {
    const { status, title } = PROBLEMS[code];
    return `<section id="${code}"><h2><a href="#${code}"><code>${code}</code></a> <small>${status}</small></h2>
<p><strong>${escapeHtml(title)}.</strong> ${escapeHtml(PROBLEM_PARAGRAPHS[code])}</p></section>`;
  });
  return layout(
    'Ergon problems',
    `<body class="page"><main>
<p><a href="/">Ergon</a> · <a href="/docs">API reference</a></p>
<h1>Problems</h1>
<p>Every refusal answers <code>application/problem+json</code> (RFC 9457). Program against <code>code</code>: it is stable and
never reused. <code>errors</code> names the fields at fault, <code>retryable</code> says whether the same request may succeed
later, and <code>request_id</code> finds the request in the log.</p>
${sections.join('\n')}
</main></body>`,
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
