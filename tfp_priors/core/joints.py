"""The joints of a person, and the limbs and parts that they make.

The selection is that of the Variational U-Net (Esser et al. 2018): 15 of the keypoints
of a pose estimator, "r" and "l" being the person's own sides. Coordinates are (x, y) in
[0, 1], from the upper left corner of the image; a joint that is not seen is negative.
"""

JOINTS = (
    "rankle",
    "rknee",
    "rhip",
    "rshoulder",
    "relbow",
    "rwrist",
    "reye",
    "lankle",
    "lknee",
    "lhip",
    "lshoulder",
    "lelbow",
    "lwrist",
    "leye",
    "nose",
)

#: Pairs of joints that a stickman joins by a line.
LIMBS = (
    ("rankle", "rknee"),
    ("rknee", "rhip"),
    ("rhip", "rshoulder"),
    ("rshoulder", "relbow"),
    ("relbow", "rwrist"),
    ("lankle", "lknee"),
    ("lknee", "lhip"),
    ("lhip", "lshoulder"),
    ("lshoulder", "lelbow"),
    ("lelbow", "lwrist"),
    ("rshoulder", "lshoulder"),
    ("rhip", "lhip"),
    ("nose", "reye"),
    ("nose", "leye"),
)

#: The parts of which the appearance encoder sees a crop each, by name: the four joints
#: of the body, the shoulders and the nose of the head, the ends of arms and legs.
PARTS = {
    "body": ("lhip", "lshoulder", "rshoulder", "rhip"),
    "head": ("lshoulder", "rshoulder", "nose"),
    "left_upper_arm": ("lshoulder", "lelbow"),
    "left_lower_arm": ("lelbow", "lwrist"),
    "right_upper_arm": ("rshoulder", "relbow"),
    "right_lower_arm": ("relbow", "rwrist"),
    "left_upper_leg": ("lhip", "lknee"),
    "right_upper_leg": ("rhip", "rknee"),
}

#: Without them there is no body to crop.
REQUIRED = ("rhip", "rshoulder", "lhip", "lshoulder")


def index(name: str) -> int:
    """The row of a joint in an array of keypoints."""
    return JOINTS.index(name)
