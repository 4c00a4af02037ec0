"""Drawn people whose clothes are known factors, independent of their pose."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from PIL import ImageDraw

from tfp_priors.core import joints

#: How many values each factor has, all of them equally frequent. In the order of the
#: attribute vector, which is that of their names.
FACTORS = {
    "build": 2,
    "hair_colour": 4,
    "shirt_colour": 8,
    "shirt_texture": 3,
    "skin": 3,
    "trousers_colour": 8,
}

#: Of shirts and trousers, RGB.
COLOURS = (
    (205, 40, 45),
    (245, 140, 30),
    (240, 215, 60),
    (50, 155, 65),
    (75, 205, 215),
    (45, 75, 195),
    (150, 70, 180),
    (60, 60, 65),
)
#: Of shirts.
TEXTURES = ("plain", "stripes", "dots")
HAIR = ((25, 20, 25), (170, 80, 30), (235, 195, 80), (155, 155, 165))
SKIN = ((250, 215, 185), (200, 145, 105), (110, 70, 50))
#: Thickness of body and limbs.
BUILDS = (0.75, 1.25)
BACKGROUND = (236, 236, 240)

_WHITE, _BLACK, _SHOE = (250, 250, 250), (20, 20, 20), (40, 35, 35)

_SIZE = 128
# Drawn at this multiple of the size and scaled down: Pillow's lines are not smooth.
_OVERSAMPLING = 2
_CANVAS = _SIZE * _OVERSAMPLING
_EXAMPLES = {"train": 20_000, "test": 5_000}

# Lengths, in units of the torso's.
_SHOULDER, _HIP = 0.4, 0.22  # Half the distance between both.
_UPPER_ARM, _LOWER_ARM = 0.6, 0.55
_UPPER_LEG, _LOWER_LEG = 0.8, 0.8
_NECK = 0.5  # From the shoulders to the middle of the head.
_HEAD = (0.27, 0.34)  # Half the width and height.
_EDGE = 0.02  # Of the dark line around each part.

# Ranges in degrees of the upper arm's angle, and of the lower one's to it: arms that
# hang, twice as often, that are held to the side, and that are up.
_ARMS = (
    ((5, 45), (-90, 30)),
    ((5, 45), (-90, 30)),
    ((45, 110), (-100, 100)),
    ((110, 170), (-40, 80)),
)
# Beyond this a person is seen from the side, and one eye is hidden.
_SIDEWAYS = np.radians(40)


class _Pose(NamedTuple):
    """How a person stands.

    Attributes:
      at: places (x, y) by name, those of joints and "head", in units of the picture.
      unit: length of the torso, in units of the picture.
      turn: angle of the body to the viewer; positive: the person looks to the right.
      behind: sides, "r" or "l", whose arm is behind the body.
      near: the side that is nearer to the viewer.
    """

    at: dict[str, np.ndarray]
    unit: float
    turn: float
    behind: tuple[str, ...]
    near: str


class _Part(NamedTuple):
    """What is painted at once.

    Attributes:
      name: of the part.
      material: "skin", "hair", "shirt", "trousers" or "shoe".
      capsules: thick lines `(start, end, radius)`, in units of the picture.
      corners: of a filled polygon, or none.
    """

    name: str
    material: str
    capsules: list[tuple[np.ndarray, np.ndarray, float]]
    corners: tuple[np.ndarray, ...] = ()


def factors_of(random: np.random.RandomState) -> dict[str, int]:
    """Draws the value of each factor, uniformly and independently."""
    return {name: int(random.randint(values)) for name, values in FACTORS.items()}


def attributes_of(factors: dict[str, int]) -> dict[str, bool]:
    """Factors as one-hot attributes by name, such as "skin_2"."""
    return {
        f"{name}_{value}": factors[name] == value
        for name, values in FACTORS.items()
        for value in range(values)
    }


def factor_slices() -> dict[str, slice]:
    """The columns of the attribute vector that belong to each factor."""
    slices, start = {}, 0
    for name, values in FACTORS.items():
        slices[name] = slice(start, start + values)
        start += values
    return slices


def person(seed: int, index: int) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """A person, a function of the seed and its number.

    The picture is a function of the pose and the factors: nothing else is drawn at
    random. Given the pose, the entropy of the factors is log(4608) = 8.44 nats.

    Returns:
      uint8 `[128, 128, 3]`; keypoints, float32 `[15, 2]`, see `core.joints`; and
      the factors by name.
    """
    random = np.random.RandomState([seed, index])
    factors = factors_of(random)
    pose, keypoints = _draw_pose(random)
    return _paint(pose, factors), keypoints, factors


def _draw_pose(random):
    """A pose whose hips, shoulders, nose and at least one knee can be seen."""
    needed = [joints.index(name) for name in (*joints.REQUIRED, "nose")]
    knees = [joints.index(name) for name in ("rknee", "lknee")]
    while True:
        pose = _placed(random, *_stance(random))
        seen = _visible(pose)
        if seen[needed].all() and seen[knees].any() and _head_is_inside(pose):
            places = np.array([pose.at[name] for name in joints.JOINTS])
            return pose, np.where(seen[:, None], places, -1.0).astype(np.float32)


def _stance(random):
    """Places in units of the torso from the middle of the hips, and what else to know.

    Returns:
      Places by name, the turn, and the sides whose arms are behind the body.
    """
    turn = np.radians(random.uniform(-65, 65))
    lean = np.radians(random.uniform(-12, 12))
    sideways = abs(turn) > _SIDEWAYS
    forwards = np.sign(turn)
    up = np.array([np.sin(lean), -np.cos(lean)])
    across = np.array([np.cos(lean), np.sin(lean)])
    at = {"head": up * (1 + _NECK)}
    stride, lifted = random.uniform(-35, 35), random.choice(["r", "l", ""])
    for side, outwards in (("r", -1), ("l", 1)):
        shoulder = up + outwards * _SHOULDER * np.cos(turn) * across
        upper, bend = _arm_angles(random)
        towards = outwards
        if sideways:
            # Arms and elbows go forwards.
            towards, bend = forwards, abs(bend)
        elbow = shoulder + _UPPER_ARM * _direction(towards, upper)
        wrist = elbow + _LOWER_ARM * _direction(towards, upper + bend)
        hip = outwards * _HIP * np.cos(turn) * np.array([1.0, 0.0])
        if sideways:
            # One leg before the other; knees bend backwards.
            upper, bend = outwards * stride, -random.uniform(0, 40)
            towards = forwards
        else:
            upper, bend = _leg_angles(random, side == lifted)
        knee = hip + _UPPER_LEG * _direction(towards, upper)
        ankle = knee + _LOWER_LEG * _direction(towards, upper + bend)
        limbs = (shoulder, elbow, wrist, hip, knee, ankle)
        names = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        at |= {side + name: place for name, place in zip(names, limbs, strict=True)}
        eye = outwards * 0.11 * np.cos(turn) + 0.13 * np.sin(turn)
        at[side + "eye"] = at["head"] + eye * across + 0.06 * up
    at["nose"] = at["head"] + 0.18 * np.sin(turn) * across - 0.05 * up
    if sideways:
        behind = ("l",) if turn > 0 else ("r",)
    else:
        behind = tuple(side for side in "rl" if random.rand() < 0.25)
    return at, turn, behind


def _direction(towards, degrees):
    """Downwards at 0 degrees, to one side at 90, upwards at 180."""
    angle = np.radians(degrees)
    return np.array([towards * np.sin(angle), np.cos(angle)])


def _arm_angles(random):
    """Of the upper arm, and by how much the lower one differs, in degrees."""
    upper, bend = _ARMS[random.randint(len(_ARMS))]
    return random.uniform(*upper), random.uniform(*bend)


def _leg_angles(random, is_lifted):
    if is_lifted and random.rand() < 0.4:
        return random.uniform(25, 80), -random.uniform(20, 110)
    return random.uniform(0, 30), random.uniform(-15, 5)


def _placed(random, at, turn, behind):
    """Scales a stance to the picture; hands and feet may be outside of it."""
    places = np.array([*at.values(), at["head"] - _HEAD, at["head"] + _HEAD])
    margin = 0.15
    low, high = places.min(axis=0) - margin, places.max(axis=0) + margin
    size = high - low
    unit = random.uniform(0.8, 1.15) / size.max()
    # Where the picture has room the person is anywhere, else it is cut a little.
    room = 1.0 - unit * size
    corner = room * random.uniform(0.0, 1.0, 2)
    placed = {name: corner + unit * (place - low) for name, place in at.items()}
    return _Pose(placed, unit, turn, behind, "r" if turn > 0 else "l")


def _head_is_inside(pose):
    half = np.multiply(_HEAD, pose.unit)
    low, high = pose.at["head"] - half, pose.at["head"] + half
    return low.min() >= 0.0 and high.max() <= 1.0


# Of which parts one must be on top where a joint is, for the joint to be seen.
_OWN_PARTS = {
    "ankle": ("{}_lower_leg",),
    "knee": ("{}_upper_leg", "{}_lower_leg"),
    "hip": ("pelvis",),
    "shoulder": ("torso", "{}_upper_arm"),
    "elbow": ("{}_upper_arm", "{}_lower_arm"),
    "wrist": ("{}_lower_arm",),
    "eye": ("head",),
}


def _visible(pose):
    """Which joints are on top and in the picture, bools `[15]`.

    Of a broad person whoever it is, so that a pose tells nothing of the build.
    """
    parts = _parts(pose, max(BUILDS))
    top = Image.new("L", (_CANVAS, _CANVAS), len(parts))
    for i, part in enumerate(parts):
        _fill(top, part, len(parts), grow=_EDGE * pose.unit)
        _fill(top, part, i)
    top = np.asarray(top)
    seen = []
    for joint in joints.JOINTS:
        pixel = np.floor(pose.at[joint] * _SIZE).astype(int) * _OVERSAMPLING
        inside = pixel.min() >= 0 and pixel.max() < _CANVAS
        own = ("head",) if joint == "nose" else _OWN_PARTS[joint[1:]]
        own = [name.format(joint[0]) for name in own]
        x, y = pixel
        block = top[y : y + _OVERSAMPLING, x : x + _OVERSAMPLING] if inside else []
        names = {parts[i].name if i < len(parts) else "" for i in np.ravel(block)}
        seen.append(inside and names <= set(own))
    far_eye = ("l" if pose.turn > 0 else "r") + "eye"
    if abs(pose.turn) > _SIDEWAYS:
        seen[joints.index(far_eye)] = False
    return np.array(seen)


def _parts(pose, build):
    """Parts of a person from the back to the front."""
    at, unit = pose.at, pose.unit
    thick = unit * build
    far, near = ("l", "r") if pose.near == "r" else ("r", "l")

    def arm(side):
        shoulder, elbow, wrist = (at[side + n] for n in ("shoulder", "elbow", "wrist"))
        hand = wrist + 0.12 * (wrist - elbow)
        return [
            _Part(
                f"{side}_lower_arm",
                "skin",
                [(elbow, wrist, 0.1 * thick), (hand, hand, 0.11 * thick)],
            ),
            _Part(f"{side}_upper_arm", "shirt", [(shoulder, elbow, 0.14 * thick)]),
        ]

    def leg(side):
        hip, knee, ankle = (at[side + name] for name in ("hip", "knee", "ankle"))
        toes = 0.16 * unit * np.array([np.sin(pose.turn), 0.4])
        return [
            _Part(f"{side}_shoe", "shoe", [(ankle, ankle + toes, 0.09 * thick)]),
            _Part(f"{side}_lower_leg", "trousers", [(knee, ankle, 0.14 * thick)]),
            _Part(f"{side}_upper_leg", "trousers", [(hip, knee, 0.18 * thick)]),
        ]

    hips = (at["rhip"], at["lhip"])
    shoulders = [at["rshoulder"], at["lshoulder"]]
    middle, neck = sum(hips) / 2, sum(shoulders) / 2
    up, across = neck - middle, shoulders[1] - shoulders[0]
    # The shirt's corners are a little within the joints: it has round edges.
    top = [neck - 0.06 * up + side * across for side in (-0.4, 0.4)]
    hem = [middle + 0.31 * up + side * across for side in (-0.25, 0.25)]
    sides = [(top[0], hem[0]), (top[1], hem[1]), tuple(top), tuple(hem)]
    width, height = np.multiply(_HEAD, unit)
    head = at["head"]
    head_axis = (height - width) * up / np.linalg.norm(up)
    back = -0.1 * unit * np.sin(pose.turn) * np.array([1.0, 0.0])
    crown = head + back + 0.4 * head_axis
    parts = []
    for side in (far, near):
        if side in pose.behind:
            parts += arm(side)
    parts += leg(far) + leg(near)
    parts += [
        _Part("pelvis", "trousers", [(*hips, 0.18 * thick)]),
        _Part("neck", "skin", [(neck, head, 0.1 * unit)]),
        _Part(
            "torso",
            "shirt",
            [(*ends, 0.17 * thick) for ends in sides],
            (top[0], top[1], hem[1], hem[0]),
        ),
        _Part("hair", "hair", [(crown, crown + head_axis, width * 1.12)]),
        _Part("head", "skin", [(head - head_axis, head + 0.4 * head_axis, width)]),
    ]
    for side in (far, near):
        if side not in pose.behind:
            parts += arm(side)
    return parts


def _fill(picture, part, fill, grow=0.0):
    """Paints a part with a colour, larger by `grow` in units of the picture."""
    draw = ImageDraw.Draw(picture)
    for start, end, radius in part.capsules:
        start, end, radius = _CANVAS * start, _CANVAS * end, _CANVAS * (radius + grow)
        along = end - start
        length = np.hypot(*along)
        if length > 0:
            aside = radius / length * np.array([-along[1], along[0]])
            corners = (start + aside, end + aside, end - aside, start - aside)
            draw.polygon([tuple(c) for c in corners], fill)
        for middle in (start, end):
            draw.ellipse([*(middle - radius), *(middle + radius)], fill)
    if part.corners:
        draw.polygon([tuple(_CANVAS * corner) for corner in part.corners], fill)


def _paint(pose, factors):
    """The picture, uint8 `[128, 128, 3]`."""
    colours = {
        "skin": SKIN[factors["skin"]],
        "hair": HAIR[factors["hair_colour"]],
        "shirt": COLOURS[factors["shirt_colour"]],
        "trousers": COLOURS[factors["trousers_colour"]],
        "shoe": _SHOE,
    }
    cloth = _cloth(pose, colours["shirt"], TEXTURES[factors["shirt_texture"]])
    picture = Image.new("RGB", (_CANVAS, _CANVAS), BACKGROUND)
    for part in _parts(pose, BUILDS[factors["build"]]):
        colour = colours[part.material]
        # A dark edge, so that an arm shows before the shirt.
        _fill(picture, part, _darker(colour), grow=_EDGE * pose.unit)
        if part.material == "shirt":
            mask = Image.new("L", (_CANVAS, _CANVAS))
            _fill(mask, part, 255)
            picture.paste(cloth, mask=mask)
        else:
            _fill(picture, part, colour)
        if part.name == "head":
            _paint_face(picture, pose, colours)
    small = picture.resize((_SIZE, _SIZE), Image.Resampling.BOX)
    return np.asarray(small)


def _darker(colour):
    return tuple(c * 5 // 8 for c in colour)


def _cloth(pose, colour, texture):
    """A picture full of cloth, whose pattern moves with the person."""
    cloth = Image.new("RGB", (_CANVAS, _CANVAS), colour)
    draw = ImageDraw.Draw(cloth)
    ink = _BLACK if sum(colour) > 420 else _WHITE
    x, y = _CANVAS * (pose.at["rshoulder"] + pose.at["lshoulder"]) / 2
    unit = _CANVAS * pose.unit
    if texture == "stripes":
        step = 0.26 * unit
        for top in np.arange(y % step - step, _CANVAS, step):
            draw.rectangle((0, top, _CANVAS, top + step / 2), ink)
    if texture == "dots":
        step, radius = 0.28 * unit, 0.075 * unit
        for row, middle in enumerate(np.arange(y % step - step, _CANVAS, step)):
            first = x % step - step * (1 + row % 2 / 2)
            for dot in np.arange(first, _CANVAS + step, step):
                box = (dot - radius, middle - radius, dot + radius, middle + radius)
                draw.ellipse(box, ink)
    return cloth


def _paint_face(picture, pose, colours):
    draw = ImageDraw.Draw(picture)
    at, unit = pose.at, pose.unit

    def ellipse(place, width, height, fill):
        half = unit * np.array([width, height])
        box = [*_CANVAS * (place - half), *_CANVAS * (place + half)]
        draw.ellipse([float(c) for c in box], fill)

    width, height = np.multiply(_HEAD, unit)
    head = at["head"]
    box = [*_CANVAS * (head - (width, height)), *_CANVAS * (head + (width, height))]
    turned = 12 * np.sin(pose.turn)
    draw.chord([float(c) for c in box], 205 + turned, 335 + turned, colours["hair"])
    far_eye = "l" if pose.turn > 0 else "r"
    for side in "rl":
        if side != far_eye or abs(pose.turn) <= _SIDEWAYS:
            ellipse(at[side + "eye"], 0.055, 0.05, _WHITE)
            ellipse(at[side + "eye"], 0.03, 0.035, _BLACK)
    ellipse(at["nose"], 0.04, 0.04, _darker(colours["skin"]))
    mouth = at["nose"] + 0.7 * (at["nose"] - (at["reye"] + at["leye"]) / 2)
    ellipse(mouth, 0.08, 0.025, (165, 50, 55))


class ProceduralPeople(tfds.core.GeneratorBasedBuilder):
    """20,000 drawn people to train and 5,000 to test, none in both."""

    name = "procedural_people"
    VERSION = tfds.core.Version("1.0.0")
    #: See `ImageDataset.factors`.
    factors = factor_slices()

    def _info(self):
        shape = (len(joints.JOINTS), 2)
        names = attributes_of(dict.fromkeys(FACTORS, 0))
        return tfds.core.DatasetInfo(
            builder=self,
            description="Drawn people with known joints and factors.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(_SIZE, _SIZE, 3)),
                    "keypoints": tfds.features.Tensor(shape=shape, dtype=np.float32),
                    "attributes": {name: np.bool_ for name in names},
                }
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(seed, _EXAMPLES[split])
            for seed, split in enumerate(("train", "test"))
        }

    def _generate_examples(self, seed, examples) -> Iterator:
        for index in range(examples):
            image, keypoints, factors = person(seed, index)
            attributes = attributes_of(factors)
            yield (
                index,
                {"image": image, "keypoints": keypoints, "attributes": attributes},
            )
