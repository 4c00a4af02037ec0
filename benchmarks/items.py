"""What is measured: items, their cases, and who takes part in each."""

from typing import NamedTuple

_COMPILED = "_compile"


class Item(NamedTuple):
    """A benchmark.

    Attributes:
      name: the first part of its cases' names.
      about: one sentence.
      cases: the variants that take part, by case; the first is ours.
      modules: the side's module by variant; see `sides`.
      images: images, or codes, per call by case; empty if that means nothing.
      fresh: a process of its own for each case and variant, so that memory counts.
      once: cases that are timed in at most three rounds of one call.
      slow: beginnings of cases that a quick run leaves out.
    """

    name: str
    about: str
    cases: dict[str, tuple[str, ...]]
    modules: dict[str, str]
    images: dict[str, int]
    fresh: bool = False
    once: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()


def environment(module: str) -> str:
    """The environment in which a side's module runs."""
    if module.startswith("benchmarks.ours."):
        return "ours"
    return "pythae" if module == "benchmarks.peers.pythae" else "torch"


def _modules(name, *peers):
    return {"ours": f"benchmarks.ours.{name}"} | {
        variant: f"benchmarks.peers.{name}" for variant in peers
    }


_TRAIN_PEERS = ("eager", "channels_last", "compile", "compile_channels_last")


def _train_step():
    cases = [
        f"{shape}.{model}.{batch}.{precision}"
        for shape in ("mnist", "cifar10")
        for model in ("beta0", "fp_vae", "vae", "aae", "prior_aae")
        for batch in (64, 256)
        for precision in ("float32", "bfloat16")
    ]
    return Item(
        "train_step",
        "One training step, ours by bin/train's trainer, PyTorch's in a bare loop.",
        dict.fromkeys(cases, ("ours", *_TRAIN_PEERS)),
        _modules("train_step", *_TRAIN_PEERS),
        {case: int(case.split(".")[2]) for case in cases},
        fresh=True,
        # A process of each side takes most of the time. Steps of the other models
        # differ little from these.
        slow=tuple(case for case in cases if not case.startswith("mnist.beta0")),
    )


def _perceptual():
    cases = [
        f"{shape}.{loss}.{batch}.{precision}"
        for shape, losses, batch in (
            ("celeba", ("pixels", "vgg19"), 16),
            ("procedural_faces", ("pixels", "classifier"), 64),
        )
        for loss in losses
        for precision in ("float32", "bfloat16")
    ]
    return Item(
        "perceptual",
        "One training step at beta = 0 with a loss on pixels, and in activations of "
        "VGG19 (128 x 128 images) or of a classifier (64 x 64).",
        dict.fromkeys(cases, ("ours",)),
        _modules("train_step"),
        {case: int(case.split(".")[2]) for case in cases},
        fresh=True,
        slow=tuple(cases),
    )


def _pythae():
    case = "mnist.vae.64.float32"
    modules = {
        "ours": "benchmarks.ours.train_step",
        "pythae": "benchmarks.peers.pythae",
    }
    return Item(
        "pythae",
        "One training step of a VAE, each by its library's own trainer.",
        {case: tuple(modules)},
        modules,
        {case: 64},
        fresh=True,
        slow=(case,),
    )


def _priors():
    flows = ("realnvp", "maf", "iaf", "spline")
    libraries = ("zuko", "nflows", "normflows")
    # As many passes as dimensions.
    slow = ("maf.sample", "iaf.log_prob")
    cases = {}
    for name in flows:
        for case in (f"{name}.log_prob", f"{name}.sample"):
            compiled = () if case in slow else tuple(n + _COMPILED for n in libraries)
            cases[case] = ("ours", *libraries, *compiled)
    for name in ("mixture", "normal"):
        for case in (f"{name}.log_prob", f"{name}.sample"):
            cases[case] = ("ours", "torch", "torch" + _COMPILED)
    for case in ("vamp.log_prob", "vamp.sample", "generator.sample"):
        cases[case] = ("ours",)
    cases["second_stage.sample"] = cases["flow_matching.sample"] = ("ours",)
    peers = {variant for variants in cases.values() for variant in variants[1:]}
    return Item(
        "priors",
        "Density and draws of 4,096 codes of 64 dimensions, without gradients.",
        cases,
        _modules("priors", *sorted(peers)),
        dict.fromkeys(cases, 4096),
        once=slow,
        slow=slow,
    )


def _mixture_fit():
    case = "40"
    return Item(
        "mixture_fit",
        "A mixture of 40 normals fitted to 50,000 codes of 64 dimensions, and the nats "
        "of 10,000 others.",
        {case: ("ours", "sklearn")},
        dict.fromkeys(("ours", "sklearn"), "benchmarks.ours.mixture_fit"),
        {case: 50_000},
        once=(case,),
        slow=(case,),
    )


def _sampler():
    peers = ("eager", "compile", "trace", "export")
    cases = {str(n): ("ours", *peers) for n in (64, 256, 4096)}
    images = {case: int(case) for case in cases}
    starts = dict.fromkeys(("load", "first_call", "start"), ("ours", "trace", "export"))
    return Item(
        "sampler",
        "Images from a saved sampler of the MNIST model at beta = 0: n at once, the "
        "time to load it, the first call, and a process from start to 64 images.",
        cases | starts,
        _modules("sampler", *peers),
        images,
        once=tuple(starts),
        slow=tuple(starts),
    )


def _portable_sampler():
    others = ("tflite", "saved_model", "trace")
    cases = {str(n): ("ours", *others) for n in (64, 256, 4096)}
    images = {case: int(case) for case in cases}
    starts = dict.fromkeys(("load", "first_call", "start"), ("ours", *others))
    return Item(
        "portable_sampler",
        "The same sampler as ONNX, beside TFLite, the SavedModel and PyTorch's trace.",
        cases | starts,
        dict.fromkeys(("ours", "tflite"), "benchmarks.ours.portable_sampler")
        | {
            "saved_model": "benchmarks.ours.sampler",
            "trace": "benchmarks.peers.sampler",
        },
        images,
        once=tuple(starts),
        slow=tuple(cases | starts),
    )


def _features():
    layouts = ("eager", "channels_last", "compile")
    return Item(
        "features",
        "Features of 1,000 images by the MNIST classifier, and the Frechet distance of "
        "10,000 x 2,048 features.",
        {"extract": ("ours", *layouts), "frechet": ("ours", "scipy")},
        _modules("features", *layouts) | {"scipy": "benchmarks.ours.features"},
        {"extract": 1000},
        once=("frechet",),
        slow=("frechet",),
    )


def _input():
    loaders = ("loader_0", "loader_1", "loader_2")
    return Item(
        "input",
        "The input pipeline alone, batches of 64: 28 x 28 images in memory, and JPEGs "
        "of 178 x 218 cropped to 128 x 128, ours from memory or from the files.",
        {"memory": ("ours", *loaders, "tensor")}
        | dict.fromkeys(("jpeg", "jpeg_streamed"), ("ours", *loaders)),
        _modules("input", *loaders, "tensor"),
        dict.fromkeys(("memory", "jpeg", "jpeg_streamed"), 64),
    )


def _startup():
    cases = ("help", "first_step")
    return Item(
        "startup",
        "bin/train from the command to its help, and to the first training step.",
        dict.fromkeys(cases, ("ours",)),
        _modules("startup"),
        {},
        once=cases,
    )


def _roofline():
    cases = ("matmul.float32", "matmul.bfloat16", "convolution.float32", "copy")
    return Item(
        "roofline",
        "What this machine can do at most; with steps and priors, the share reached.",
        dict.fromkeys(cases, ("ours",)),
        _modules("roofline"),
        {},
    )


ITEMS = (
    _train_step(),
    _perceptual(),
    _pythae(),
    _priors(),
    _mixture_fit(),
    _sampler(),
    _portable_sampler(),
    _features(),
    _input(),
    _startup(),
    _roofline(),
)
