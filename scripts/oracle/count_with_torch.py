"""Counts parameters and forward FLOPs of the catalog's models with PyTorch, as an oracle that shares no code with Ergon.

Builds each model of packages/compute/src/data/models.json from its config on the meta device (no weights are made) with
Hugging Face transformers, counts its parameters exactly, and counts the matrix FLOPs of one forward pass with
torch.utils.flop_counter (convention: 2 per multiply-add, the whole rectangle of scores, logits on every position; on the meta
device the grouped matrices of routed experts are not counted). A model whose code is not in transformers gives nothing; the row
says why.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install torch==2.15.0 transformers==5.23.0
    /tmp/oracle/bin/python scripts/oracle/count_with_torch.py > packages/compute/src/torch-rows.test-support.json
"""

import json
import sys
from pathlib import Path

import torch
import transformers
import transformers.masking_utils
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

TOKENS = 128
# Looks at the values of positions, which a meta tensor does not have; one sequence is never packed.
transformers.masking_utils.find_packed_sequence_indices = lambda *_, **__: None
ROOT = Path(__file__).resolve().parents[2]


def build(config: dict):
    """The model on the meta device, with its head where it has one."""
    known = AutoConfig.for_model(**config)
    known._attn_implementation = "eager"
    if getattr(known, "quantization_config", None) is not None:
        del known.quantization_config
    with torch.device("meta"):
        for kind in (AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModel):
            try:
                return kind.from_config(known, dtype=torch.bfloat16), kind.__name__
            except ValueError as error:
                reason = error
        raise reason


def parameters(model) -> int:
    """Each tensor once: a tied head shares the embedding's."""
    return sum(tensor.numel() for tensor in {id(one): one for one in model.parameters()}.values())


def forward_flops(model) -> int:
    tokens = torch.zeros((1, TOKENS), dtype=torch.long, device="meta")
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(input_ids=tokens, use_cache=False)
    return counter.get_total_flops()


def row(entry: dict) -> dict:
    result = {"model": entry["name"], "head": None, "parameters": None, "flops": None, "why_not": None}
    try:
        model, result["head"] = build(dict(entry["config"]))
        result["parameters"] = str(parameters(model))
        if result["head"] == "AutoModelForCausalLM":
            result["flops"] = str(forward_flops(model))
    except Exception as error:  # noqa: BLE001  Each model has its own reason; none may end the others.
        result["why_not"] = f"{type(error).__name__}: {error}".split("\n")[0][:160]
    return result


def main() -> None:
    entries = json.loads((ROOT / "packages/compute/src/data/models.json").read_text())
    rows = []
    for entry in entries:
        rows.append(row(entry))
        print(json.dumps(rows[-1]), file=sys.stderr)
    lines = ",\n".join(f"  {json.dumps(one)}" for one in rows)
    versions = f'"torch": "{torch.__version__}", "transformers": "{transformers.__version__}", "tokens": {TOKENS}'
    print(f'{{ {versions},\n "rows": [\n{lines}\n]}}')


main()
