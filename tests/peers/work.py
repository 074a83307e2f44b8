"""Additions and multiplications of one image in ViT-B/32, counted from the shapes of its matrix products.

A product of an N x K matrix with a vector is 2·N·K. Norms, softmax and GELU are left out: under one percent.
"""

WIDTH, INNER, LAYERS, PATCHES, PATCH_VALUES, DIMENSION = 768, 3072, 12, 49, 3 * 32 * 32, 512
TOKENS = PATCHES + 1


def operations():
    """What cannot be left out: after its keys and values, the last layer is needed for the class row alone."""
    patches = PATCHES * product(WIDTH, PATCH_VALUES)
    full = layer(rows=TOKENS)
    last = layer(rows=1)
    return patches + (LAYERS - 1) * full + last + product(DIMENSION, WIDTH)


def operations_as_written():
    """Operations where every layer computes every row, as all the other engines do."""
    return PATCHES * product(WIDTH, PATCH_VALUES) + LAYERS * layer(rows=TOKENS) + product(DIMENSION, WIDTH)


def layer(rows):
    """One layer whose result is needed for `rows` of the tokens; keys and values are needed of all."""
    keys_and_values = TOKENS * product(2 * WIDTH, WIDTH)
    query_and_output = rows * product(2 * WIDTH, WIDTH)
    attention = rows * 2 * product(TOKENS, WIDTH)
    perceptron = rows * 2 * product(INNER, WIDTH)
    return keys_and_values + query_and_output + attention + perceptron


def product(outputs, inputs):
    return 2 * outputs * inputs
