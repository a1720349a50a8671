"""A DL3 store on a web server or in an object store."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

from astropy.io import fits

from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX, OF_IMAGES, index_names
from gammastack.dl3.headers import Headers, read_headers
from gammastack.errors import InputError
from gammastack.memory import Memory
from gammastack.remote.address import is_remote, joined
from gammastack.remote.files import RemoteFiles


def open_store(place, files, cache=None):
    """Open the store in a folder or at an address.

    Parameters
    ----------
    place : str
    files : gammastack.remote.files.RemoteFiles
    cache : path, optional
        See `gammastack.dl3.datastore.DataStore.from_dir`.
    """
    if is_remote(place):
        return RemoteStore.at(place, files)
    return DataStore.from_dir(place, cache)


@dataclass(frozen=True)
class RemoteStore(DataStore):
    """A store whose files are at an address.

    What is needed is fetched, and remembered in a cache.

    Attributes
    ----------
    files : gammastack.remote.files.RemoteFiles
    """

    _join = staticmethod(joined)

    files: RemoteFiles | None = None

    @classmethod
    def at(cls, url, files):
        """Open the store at an address.

        Raises
        ------
        InputError
            If an index file is missing or damaged, or the server does not give it.
        """
        candidates = {
            name: [joined(url, one) for one in index_names(name)]
            for name in (OBS_INDEX, HDU_INDEX)
        }
        files.look_up(chain(*candidates.values()))
        index = {}
        for name, places in candidates.items():
            there = [place for place in places if not files.is_missing(place)]
            if not there:
                raise InputError(
                    f"datastore: '{url}' has no {name}, which a store on a server needs."
                    " Check the address; where the files are in a folder,"
                    " 'scripts/index.py FOLDER' makes both index files"
                )
            index[name] = _index(there[0], files)
        return cls(url, index, files=files)

    @property
    def place(self):
        """Return the address."""
        return self.folder

    def listed(self, obs_ids, types=OF_IMAGES):
        """Return the addresses of all files of some observations."""
        kinds = ((obs_id, kind) for obs_id in obs_ids for kind in types)
        return [path for key in kinds for _, path, _ in self._hdus.get(key, ())]

    @contextmanager
    def at_hand(self, hdus):
        """Provide HDUs in files of this computer, given those in the store, by type."""
        urls = list(dict.fromkeys(hdu.path for hdu in hdus.values()))
        with self.files.hold(urls) as paths:
            copies = dict(zip(urls, paths, strict=True))
            yield {
                kind: replace(hdu, path=copies[hdu.path]) for kind, hdu in hdus.items()
            }

    def unknown_files(self):
        """Return nothing: a web server does not list its files."""
        return {}

    def _base(self, name):
        # Variables stay as they are: a server could ask for secrets.
        return joined(self.folder, name)

    def _problem(self, path):
        return self.files.problem(path)

    def _headers(self, paths):
        self.files.look_up(paths)
        problems = {path: self._problem(path) for path in paths}
        headers = {path: Headers(problem=text) for path, text in problems.items()}
        there, memory = (
            [path for path in paths if not problems[path]],
            Memory(self.cache),
        )
        for urls, copies in self.files.batches(there):
            found = read_headers(copies, memory)
            headers |= {
                url: found[copy] for url, copy in zip(urls, copies, strict=True)
            }
        return headers


def _index(url, files):
    """Read an index file on a server."""
    files.fetch(url)
    with files.hold([url]) as (path,):
        try:
            with fits.open(path, memmap=False) as hdus:
                return hdus[1].copy()
        # The errors that astropy raises on a damaged file are not documented.
        except Exception as error:
            raise InputError(
                f"{url}: not a readable FITS table ({type(error).__name__}). Restore it on"
                " the server"
            ) from error
