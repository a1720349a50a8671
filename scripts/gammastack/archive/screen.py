"""What is shown of files that others made."""


def show(*lines, file=None):
    """Print lines; characters that could steer a terminal or fake a line are escaped.

    Parameters
    ----------
    *lines : str
    file : file object, optional
        By default the standard output.
    """
    for line in lines:
        print("".join(map(_shown, line)), file=file)


def _shown(character):
    # A name of a file that is not UTF-8 has characters that cannot be printed, too.
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
