"""A copy of a store in which files are damaged."""

import gzip

from fuzzing.raw import SUMS, parse
from fuzzing.sources import GZIP_MAGIC, KINDS
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX


class Draft:
    """The files of a source, parsed when they are asked for.

    Parameters
    ----------
    source : fuzzing.sources.Source

    Attributes
    ----------
    written : dict of str to bytes
        Files that are replaced as a whole, by path.
    """

    def __init__(self, source):
        self.source, self.written, self._parsed = source, {}, {}

    def path(self, kind):
        """Return the path of the file with an HDU."""
        return self.source.hdus[kind][0]

    def content(self, path):
        """Return the content of a file without its compression."""
        content = self.source.files[path]
        is_compressed = content.startswith(GZIP_MAGIC)
        return gzip.decompress(content) if is_compressed else content

    def hdus(self, path):
        """Return the HDUs of a file, a list to be changed in place."""
        if path not in self._parsed:
            self._parsed[path] = parse(self.content(path))
        return self._parsed[path]

    def hdu(self, kind):
        """Return an HDU of the run: events, gti, aeff or bkg."""
        path, name = self.source.hdus[kind]
        return next(hdu for hdu in self.hdus(path) if hdu.name == name.upper())

    def any(self, rng, kinds=KINDS):
        """Return one of the HDUs of the run."""
        return self.hdu(rng.choice(kinds))

    def index(self, name):
        """Return the table of an index: obs or hdu."""
        path = {"obs": OBS_INDEX, "hdu": HDU_INDEX}[name]
        return self.hdus(path if path in self.source.files else path[:-3])[1]

    def write(self, path, content):
        """Replace a file by a content that is compressed if the file was."""
        content = bytes(content)
        is_compressed = self.source.files[path].startswith(GZIP_MAGIC)
        self.written[path] = gzip.compress(content, 1) if is_compressed else content

    def encoded(self, checksums):
        """Return the changed files by path.

        Parameters
        ----------
        checksums : {"kept", "updated", "removed"}
            What happens to those in the changed files.
        """
        for path, hdus in self._parsed.items():
            if path in self.written:
                continue
            if checksums == "removed":
                for hdu in hdus:
                    hdu.remove(*SUMS)
            content = b"".join(hdu.encoded(sums=checksums == "updated") for hdu in hdus)
            self.write(path, content)
        return self.written
