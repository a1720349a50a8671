"""Damages by class: functions of a random generator and a `fuzzing.draft.Draft`.

Each one changes the draft in place. A class is named by what is damaged and how.
"""

from fuzzing.damages import cards, content, files, responses, values

# Of each class: the function, and what becomes of the checksums of the changed files. Those
# of damaged bytes stay as they are: they belong to the undamaged file.
DAMAGES = [(name, damage, "kept") for name, damage in content.DAMAGES.items()]
DAMAGES += [
    (name, damage, checksums)
    for module in (cards, values, responses, files)
    for name, damage in module.DAMAGES.items()
    for checksums in ("updated", "removed")
]
