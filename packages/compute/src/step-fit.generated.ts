// Written by bench/fit-step-time.ts; do not edit. Errors are of rows whose model family the constants had not seen.
export const STEP_FIT = {
  "fittedOn": "2026-11-21",
  "data": "ai-dynamo/aiconfigurator@095f58a silicon_sample.csv: aggregated serving, tensor parallel to 8, no attention data parallelism",
  "rows": 1727,
  "constants": {
    "memory": 0.8641,
    "expertMemory": 0.9989,
    "compute": 0.6692,
    "computeFp8": 0.5519,
    "computeFp4": 0.3905,
    "expertCompute": 0.1682,
    "attention": 0.4451,
    "link": 0.5112,
    "perLayer": 0.00004649,
    "perMoeLayer": 0.00004673,
    "perIndexedLayer": 0.00005909,
    "perSequence": 0.00002007,
    "perAllReduce": 0.000003215,
    "vllm": 1.137,
    "sglang": 1.111,
    "trtllm": 0.8405,
    "prefillShare": 0.8158
  },
  "leftOut": {
    "all": {
      "rows": 1727,
      "median": 0.112,
      "mean": 0.161
    },
    "dense": {
      "rows": 685,
      "median": 0.0757,
      "mean": 0.118
    },
    "moe": {
      "rows": 1042,
      "median": 0.149,
      "mean": 0.19
    },
    "families": {
      "qwen3.5-397b": {
        "rows": 244,
        "median": 0.127,
        "mean": 0.158
      },
      "kimi-k2.5": {
        "rows": 144,
        "median": 0.146,
        "mean": 0.146
      },
      "deepseek": {
        "rows": 398,
        "median": 0.128,
        "mean": 0.191
      },
      "qwen3-235b": {
        "rows": 202,
        "median": 0.237,
        "mean": 0.266
      },
      "llama-8b": {
        "rows": 244,
        "median": 0.0486,
        "mean": 0.167
      },
      "glm-5": {
        "rows": 54,
        "median": 0.151,
        "mean": 0.155
      },
      "llama-70b": {
        "rows": 441,
        "median": 0.0816,
        "mean": 0.0913
      }
    }
  },
  "intervals": {
    "dense": {
      "low": 0.699,
      "high": 1.2
    },
    "moe": {
      "low": 0.719,
      "high": 1.84
    }
  },
  "calibratedSpread": {
    "dense": [
      {
        "observations": 1,
        "low": 0.813,
        "high": 1.18
      },
      {
        "observations": 3,
        "low": 0.845,
        "high": 1.17
      },
      {
        "observations": 5,
        "low": 0.852,
        "high": 1.17
      },
      {
        "observations": 10,
        "low": 0.864,
        "high": 1.17
      }
    ],
    "moe": [
      {
        "observations": 1,
        "low": 0.72,
        "high": 1.51
      },
      {
        "observations": 3,
        "low": 0.742,
        "high": 1.41
      },
      {
        "observations": 5,
        "low": 0.756,
        "high": 1.4
      },
      {
        "observations": 10,
        "low": 0.737,
        "high": 1.37
      }
    ]
  }
};
