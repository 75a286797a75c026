"""The same trials by another hand: NumPy's beta sampler, vectorised longest paths, NumPy's quantiles.

Reads {"activities": [{"min", "mode", "max"}], "edges": [[from, to]], "lambda", "trials", "seed"} from standard input, where every edge leads
from a smaller to a larger number; writes {"network": {...}, "waterfall": {...}, "criticality": [...]} to standard output.
"""

import json
import sys

import numpy

given = json.load(sys.stdin)
random = numpy.random.default_rng(given["seed"])
trials, weight = given["trials"], given["lambda"]

days = []
for activity in given["activities"]:
    low, mode, high = activity["min"], activity["mode"], activity["max"]
    if high <= low:
        days.append(numpy.full(trials, float(low)))
        continue
    alpha = 1 + weight * (mode - low) / (high - low)
    beta = 1 + weight * (high - mode) / (high - low)
    days.append(low + (high - low) * random.beta(alpha, beta, trials))

before = [[a for a, b in given["edges"] if b == i] for i in range(len(days))]
after = [[b for a, b in given["edges"] if a == i] for i in range(len(days))]
ends = []
for i, length in enumerate(days):
    start = numpy.zeros(trials)
    for p in before[i]:
        start = numpy.maximum(start, ends[p])
    ends.append(start + length)
network = numpy.max(ends, axis=0)

# The longest rest behind each activity: it is critical where both sides together make the whole.
rest = [None] * len(days)
for i in reversed(range(len(days))):
    rest[i] = numpy.zeros(trials)
    for s in after[i]:
        rest[i] = numpy.maximum(rest[i], days[s] + rest[s])
criticality = [float(numpy.mean(numpy.abs(ends[i] + rest[i] - network) < 1e-9)) for i in range(len(days))]


def told(finish):
    quantiles = {f"p{p}": float(numpy.percentile(finish, p)) for p in (10, 50, 80, 90)}
    return {"mean": float(finish.mean()), "sd": float(finish.std(ddof=1)), **quantiles}


json.dump({"network": told(network), "waterfall": told(numpy.sum(days, axis=0)), "criticality": criticality}, sys.stdout)
