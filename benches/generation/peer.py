"""Has llama.cpp read a prompt and write, some rounds; prints their figures as one line of JSON."""

import json
import sys

import xllamacpp

path, system, user, written, rounds, threads = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.model.path = path
parameters.n_ctx = 2048
parameters.n_parallel = 1
parameters.cpuparams.n_threads = int(threads)
server = xllamacpp.Server(parameters)
turns = [("system", system), ("user", user)]
prompt = "".join(f"<|im_start|>{who}\n{said}<|im_end|>\n" for who, said in turns) + "<|im_start|>assistant\n"


def ask():
    request = {"prompt": prompt, "n_predict": int(written), "temperature": 0, "cache_prompt": False, "ignore_eos": True}
    timings = server.handle_completions(request)["timings"]
    # Its first word comes with the prompt's last token.
    return {"first_ms": timings["prompt_ms"], "tokens_per_s": timings["predicted_per_second"]}


ask()
print("\n" + json.dumps([ask() for _ in range(int(rounds))]), flush=True)
