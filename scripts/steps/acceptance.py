def run(inputs, outputs, params, origin):
    pass
