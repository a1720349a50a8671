"""The data of a run as the steps read them: what cannot be read becomes a reason."""

from dataclasses import replace
from pathlib import Path

from gammastack.dl3.checks import findings
from gammastack.dl3.finding import NOTE, WARNING, texts
from gammastack.dl3.hdus import HDULocation
from gammastack.dl3.observation import read_observation
from gammastack.errors import InputError, in_words
from gammastack.files.fits import read
from gammastack.files.header import read_config
from gammastack.provenance.origin import Origin


class RunData:
    """Files of a run, and what headers say of them.

    Parameters
    ----------
    inputs : dict
        ``dl3``: paths; ``acceptance``: path of a background model that replaces that of the
        store.
    origin : gammastack.provenance.origin.Origin
        Of the step.
    obs_id : int
    hdus : dict of str to gammastack.dl3.hdus.HDUReference
    failure : str
        Why the run cannot be read, or nothing.
    index : dict
        See `gammastack.dl3.checks.findings`.
    acceptance_class : str, optional
        GADF class of the acceptance.

    Attributes
    ----------
    paths : list of str
    origin : gammastack.provenance.origin.Origin
        Including that of the acceptance.
    config : dict
        The settings that made the acceptance, if there is one.
    cards : list of (key, value) or (key, value, comment)
        Complete after `make`.
    pointing : tuple of float
        RA and DEC in deg, as far as they are known.
    """

    def __init__(
        self, inputs, origin, obs_id, hdus, failure, index, acceptance_class=None
    ):
        self.paths, self.origin, self.config = inputs.get("dl3", []), origin, {}
        self._obs_id, self._failure, self._index = obs_id, failure, index
        self._locations = {kind: hdu.among(self.paths) for kind, hdu in hdus.items()}
        self._has_acceptance = "acceptance" in inputs
        if self._has_acceptance:
            path = inputs["acceptance"]
            self._locations["bkg"] = HDULocation(path, "BKG", acceptance_class)
            model = read(path)
            self.config = {"acceptance": read_config(model["BKG"].header)}
            self.origin = origin.after([Origin.from_hdu(model["INPUTS"])])
        self.pointing = index.get("RA_PNT", 0.0), index.get("DEC_PNT", 0.0)
        self.cards = []
        if "ZENITH" in index:
            self.cards.append(("ZENITH", index["ZENITH"], "[deg] of the pointing"))
        if "events" in self._locations:
            name = Path(self._locations["events"].path).name
            self.cards.append(("FILENAME", name, "file of the events"))

    def make(self, function):
        """Make something of the observation.

        Parameters
        ----------
        function : callable
            Takes a `gammastack.dl3.observation.Observation`.

        Returns
        -------
        result : object or None
        reason : str
            Why there is none.
        """
        try:
            if self._failure:
                raise InputError(self._failure)
            observation = read_observation(self._obs_id, self._locations)
            result = function(observation)
            # A model that was made from the runs covers the energies that are needed, not more.
            if self._has_acceptance:
                observation = replace(observation, bkg=None)
            found = findings(observation, self._index)
            for severity in (WARNING, NOTE):
                if text := texts(found, severity):
                    self.cards.append((severity.upper(), text))
        # The run may be read the next time.
        except (MemoryError, OSError):
            raise
        # Damaged data can cause any error, and one run must not keep the others from the maps.
        except Exception as error:
            return None, in_words(error, self.paths)
        return result, ""
