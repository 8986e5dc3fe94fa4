"""Where a text about a picture was written: the values of the column ``source``.

In the order in which they are believed: a captions file was written for the library; a file beside
the picture by a person or a program that came after the camera.
"""

CAPTIONS_FILE = "csv"
SIDECAR, EXIF, XMP, IPTC, PNG, VIDEO = "sidecar", "exif", "xmp", "iptc", "png", "video"
METADATA = (SIDECAR, EXIF, XMP, IPTC, PNG, VIDEO)
