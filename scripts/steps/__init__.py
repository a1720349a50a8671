"""Entry points of the rules: paths and parameters in, files out, no science.

Each module has a function ``run(inputs, outputs, origin, *, ...)`` with the paths of the
named inputs and outputs of its rule as dictionaries, the
`gammastack.provenance.origin.Origin` that its products carry, and the parameters of the
rule by name. It returns the warnings for the user, if there are any.
"""
