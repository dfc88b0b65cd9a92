/**
 * The bench's load: LLM calls as a chat API reports them, of 1,000 customers whose popularity follows Zipf's law, with 2 % of
 * the events sent twice. It remembers every figure it wrote, so that totals and amounts can be recomputed without reading
 * them back from anybody.
 */
export const CUSTOMERS = 1_000;
export const MODELS = ['gpt-5-mini', 'gpt-5', 'gpt-5-nano', 'o3', 'o4-mini'] as const;
const FEATURES = ['chat', 'search', 'agent'] as const;
const USERS = 50;
const TEAMS = 5;
const DUPLICATES = 0.02;

/** Two families of models, two sets of prices. Reasoning tokens have no price of their own and cost what output costs. */
export const PRICES = [
  { family: 'gpt', match: 'gpt-5*', input: '0.00000025', cacheRead: '0.000000025', output: '0.000002' },
  { family: 'o', match: 'o*', input: '0.0000011', cacheRead: '0.000000275', output: '0.0000044' },
] as const;

export const CARD = {
  currency: 'USD',
  prices: PRICES.flatMap(({ family, match, input, cacheRead, output }) =>
    [
      { name: 'input', meter: 'input_tokens', amount: input },
      { name: 'cache_read', meter: 'cache_read_tokens', amount: cacheRead },
      { name: 'output', meter: 'output_tokens', amount: output },
    ].map(({ name, meter, amount }) => ({
      key: `${family}-${name}`,
      meter,
      match: { model: match },
      charge_model: { type: 'per_unit', unit_amount: amount },
    })),
  ),
};

export function customerName(index: number): string {
  return `cust_${index}`;
}

/** Figures of one customer, in this order: calls, then for each family input, cache read, output, reasoning. */
export const FIGURES = 1 + PRICES.length * 4;

export type WorkloadOptions = {
  /** Makes the events' ids unlike those of every other workload. */
  readonly name: string;
  readonly requests: number;
  /** Events a request; 1 sends a bare object. */
  readonly batch: number;
  /** Part of the events that one customer gets, apart from what popularity gives it. */
  readonly hotShare: number;
};

export type Workload = {
  readonly batch: number;
  readonly bodies: readonly Buffer[];
  /** Adds the figures of the first `requests` bodies to `totals` (customer-major); returns how many events were distinct. */
  fold(requests: number, totals: Float64Array): number;
};

export function createWorkload(options: WorkloadOptions): Workload {
  const { batch, requests } = options;
  const count = requests * batch;
  const random = generator(hashOf(options.name));
  const customers = popularity();
  const owner = new Uint16Array(count);
  const family = new Uint8Array(count);
  const figures = new Uint32Array(count * 4);
  const isRepeat = new Uint8Array(count);
  const recent: string[] = [];
  const startedAt = Date.now();
  const bodies: Buffer[] = [];
  for (let request = 0; request < requests; request++) {
    let text = batch === 1 ? '' : '[';
    for (let position = 0; position < batch; position++) {
      const index = request * batch + position;
      if (position > 0) text += ',';
      const repeated = random() < DUPLICATES ? recent[Math.floor(random() * recent.length)] : undefined;
      if (repeated !== undefined) {
        isRepeat[index] = 1;
        text += repeated;
        continue;
      }
      const customer = random() < options.hotShare ? 0 : customers(random());
      const model = Math.floor(random() * MODELS.length);
      const prompt = 50 + Math.floor(random() * 3_000);
      const cached = random() < 0.5 ? Math.floor(prompt * random() * 0.9) : 0;
      const completion = 1 + Math.floor(random() * 600);
      const reasoning = random() < 0.6 ? Math.floor(completion * random()) : 0;
      owner[index] = customer;
      family[index] = MODELS[model]?.startsWith('gpt-5') === true ? 0 : 1;
      figures.set([prompt - cached, cached, completion - reasoning, reasoning], index * 4);
      const user = Math.floor(random() * USERS);
      const at = new Date(startedAt - Math.floor(random() * 5_000)).toISOString();
      const id = idOf(random);
      const event = `{"specversion":"1.0","id":"chatcmpl-${id}","source":"bench/${options.name}","type":"llm.call","subject":"${customerName(customer)}","time":"${at}","data":{"provider":"openai","api":"chat.completions","model":"${MODELS[model]}","status":"ok","attempt":1,"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":${prompt + completion},"prompt_tokens_details":{"cached_tokens":${cached},"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":${reasoning},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"feature":"${FEATURES[Math.floor(random() * FEATURES.length)]}","user":"u_${user}","team":"t_${user % TEAMS}","call_id":"call-${id}","duration_ms":${100 + Math.floor(random() * 9_000)},"time_to_first_token_ms":${50 + Math.floor(random() * 900)}}}`;
      text += event;
      if (recent.length < 5_000) recent.push(event);
      else recent[Math.floor(random() * recent.length)] = event;
    }
    bodies.push(Buffer.from(batch === 1 ? text : `${text}]`));
  }
  return {
    batch,
    bodies,
    fold(sent, totals) {
      let distinct = 0;
      for (let index = 0; index < sent * batch; index++) {
        if (isRepeat[index] === 1) continue;
        distinct += 1;
        const base = (owner[index] ?? 0) * FIGURES;
        add(totals, base, 1);
        const own = base + 1 + (family[index] ?? 0) * 4;
        for (let figure = 0; figure < 4; figure++) add(totals, own + figure, figures[index * 4 + figure] ?? 0);
      }
      return distinct;
    },
  };
}

function add(totals: Float64Array, index: number, value: number): void {
  totals[index] = (totals[index] ?? 0) + value;
}

/** Zipf with exponent 1: the k-th customer is k times as rare as the first. */
function popularity(): (at: number) => number {
  const cumulative = new Float64Array(CUSTOMERS);
  let sum = 0;
  for (let index = 0; index < CUSTOMERS; index++) {
    sum += 1 / (index + 1);
    cumulative[index] = sum;
  }
  return (at) => {
    let [low, high] = [0, CUSTOMERS - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? 0) < at * sum) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

const ID_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** As long as an id of OpenAI's, and as random: ids in order would spare the index what real ones cost. */
function idOf(random: () => number): string {
  let id = '';
  for (let length = 0; length < 24; length += 4) {
    let digits = Math.floor(random() * ID_CHARACTERS.length ** 4);
    for (let place = 0; place < 4; place++) {
      id += ID_CHARACTERS[digits % ID_CHARACTERS.length];
      digits = Math.floor(digits / ID_CHARACTERS.length);
    }
  }
  return id;
}

function hashOf(text: string): number {
  let hash = 2_166_136_261;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 16_777_619);
  return hash >>> 0;
}

/** mulberry32: fast, and the same load for the same name. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
