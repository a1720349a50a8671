"""Entry points of the rules: paths and parameters in, files out, no science.

Each module has a function ``run(inputs, outputs, params, origin)`` with the named
inputs, outputs and parameters of its rule as dictionaries, and the
`gammastack.provenance.origin.Origin` that its products carry.
"""
