// Written by bench/fit-step-time.ts; do not edit. Errors are of rows whose model family the constants had not seen.
export const STEP_FIT = {
  "fittedOn": "2026-11-21",
  "data": "ai-dynamo/aiconfigurator@095f58a silicon_sample.csv: aggregated serving, tensor parallel to 8, no attention data parallelism",
  "rows": 1727,
  "constants": {
    "memory": 0.8624,
    "expertMemory": 0.9939,
    "compute": 0.6726,
    "computeFp8": 0.5581,
    "computeFp4": 0.3872,
    "expertCompute": 0.1712,
    "attention": 0.4414,
    "link": 0.5154,
    "perLayer": 0.00004588,
    "perMoeLayer": 0.00004594,
    "perIndexedLayer": 0.00005836,
    "perSequence": 0.00002019,
    "perAllReduce": 0.00000327,
    "vllm": 1.147,
    "sglang": 1.123,
    "trtllm": 0.8465,
    "prefillShare": 0.8214
  },
  "leftOut": {
    "all": {
      "rows": 1727,
      "median": 0.112,
      "mean": 0.162
    },
    "dense": {
      "rows": 685,
      "median": 0.0772,
      "mean": 0.119
    },
    "moe": {
      "rows": 1042,
      "median": 0.148,
      "mean": 0.19
    },
    "families": {
      "qwen3.5-397b": {
        "rows": 244,
        "median": 0.127,
        "mean": 0.159
      },
      "kimi-k2.5": {
        "rows": 144,
        "median": 0.145,
        "mean": 0.146
      },
      "deepseek": {
        "rows": 398,
        "median": 0.128,
        "mean": 0.191
      },
      "qwen3-235b": {
        "rows": 202,
        "median": 0.238,
        "mean": 0.267
      },
      "llama-8b": {
        "rows": 244,
        "median": 0.05,
        "mean": 0.167
      },
      "glm-5": {
        "rows": 54,
        "median": 0.15,
        "mean": 0.152
      },
      "llama-70b": {
        "rows": 441,
        "median": 0.0835,
        "mean": 0.0922
      }
    }
  },
  "intervals": {
    "dense": {
      "low": 0.696,
      "high": 1.2
    },
    "moe": {
      "low": 0.717,
      "high": 1.84
    }
  },
  "calibratedSpread": [
    {
      "observations": 1,
      "low": 0.747,
      "high": 1.38
    },
    {
      "observations": 3,
      "low": 0.784,
      "high": 1.34
    },
    {
      "observations": 5,
      "low": 0.795,
      "high": 1.34
    },
    {
      "observations": 10,
      "low": 0.783,
      "high": 1.34
    }
  ]
};
