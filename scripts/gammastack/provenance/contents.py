"""Hashes of files by content, without reading untouched files again."""

from gammastack.memory import Memory
from gammastack.provenance.origin import sha256_of


class Contents(Memory):
    """SHA-256 of files, remembered as long as the files stay the same."""

    def sha256(self, path):
        """Return the SHA-256 of the content of a file, hexadecimal."""
        digest = self.recall(path)
        if digest is None:
            digest = sha256_of(path)
            self.remember(path, digest)
        return digest
