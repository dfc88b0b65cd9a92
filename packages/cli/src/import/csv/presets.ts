/** A named mapping for a public format. What the command line says as well wins over it. */
export type CsvPreset = {
  readonly summary: string;
  readonly type: string;
  readonly source: string;
  readonly map: readonly string[];
};

export const CSV_PRESETS: ReadonlyMap<string, CsvPreset> = new Map([
  [
    // github.com/Azure/AzurePublicDataset: AzureLLMInferenceTrace_code.csv, _conv.csv. The trace names no model.
    'azure-llm-trace',
    {
      summary: 'Azure LLM inference traces: TIMESTAMP, ContextTokens, GeneratedTokens',
      type: 'llm.call',
      source: 'azure-llm-trace',
      map: ['time=TIMESTAMP', 'tokens.input=ContextTokens', 'tokens.output=GeneratedTokens'],
    },
  ],
]);
