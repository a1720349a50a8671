# Images of single runs: the only rules that read DL3 files.


def dl3_hdus(wildcards):
    """Locations of the HDUs of a run that its images are made of."""
    field = field_of(wildcards)
    kinds = tuple(HDU_CLASSES) if field.make_background_image else ("events", "gti")
    return refuse_clearly(
        datastore(field.datastore).hdus, int(wildcards.obs_id), kinds
    )


def dl3_files(wildcards):
    """The distinct files of a run."""
    return list(dict.fromkeys(hdu.path for hdu in dl3_hdus(wildcards).values()))


def hdus_in_files(wildcards):
    """For each HDU the number of its file in `dl3_files`, its name and its class."""
    files = dl3_files(wildcards)
    return {
        kind: (files.index(hdu.path), hdu.hdu_name, hdu.hdu_class)
        for kind, hdu in dl3_hdus(wildcards).items()
    }


def index_row(wildcards):
    """What the observation index says of a run, to compare with its header."""
    row = datastore(field_of(wildcards).datastore).observations.loc[
        int(wildcards.obs_id)
    ]
    keys = ("RA_PNT", "DEC_PNT", "ONTIME", "LIVETIME", "DEADC")
    return {key: float(row[key]) for key in keys if key in row}


rule run_images:
    input:
        dl3=dl3_files,
        code=code("run_images"),
    output:
        counts="<results>/{field}/runs/{obs_id}/counts.fits",
        bkg="<results>/{field}/runs/{obs_id}/bkg.fits",
        exposure="<results>/{field}/runs/{obs_id}/exposure.fits",
    wildcard_constraints:
        field=with_background,
    params:
        obs_id=lambda wildcards: int(wildcards.obs_id),
        hdus=hdus_in_files,
        index=index_row,
        image=of_field("image"),
        energy_bands=of_field("energy_bands"),
        offset_band=of_field("offset_band"),
        spectral_index=of_field("spectral_index"),
        for_integral_flux=of_field("for_integral_flux"),
    run:
        step("run_images", input, output, params)


use rule run_images as run_counts with:
    output:
        counts="<results>/{field}/runs/{obs_id}/counts.fits",
    wildcard_constraints:
        field=counts_only,
