def candidate_rows(path):
    return None
