"""How far a fully convolutional network sees, which is how far the tiles of a large image must overlap."""


def conv_reach(levels: int) -> int:
    """How many pixels away, at most, lies what a pixel of `ConvDecoder`'s output depends on in `ConvEncoder`'s input.

    With L levels: 2^l for the encoder's convolution at level l = 0...L - 1 and the decoder's at l = L...1, 1 for the
    last, and 2^L - 1 because pixels are pooled in blocks of 2^L.

    >>> conv_reach(1), conv_reach(3)
    (5, 29)
    """
    return 4 * 2**levels - 3


def unet_reach(levels: int) -> int:
    """The same of `UNetDecoder` and `UNetEncoder`.

    With L levels: twice 2^l for the encoder's two convolutions at level l = 1...L and the decoder's at l = L - 1...1, 2
    for the last, and 2^L - 1 for the blocks.

    >>> unet_reach(1), unet_reach(4)
    (7, 105)
    """
    return 7 * 2**levels - 7
