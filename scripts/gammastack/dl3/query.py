"""Conditions on the columns of an index, such as ``OBJECT == 'Crab' and ZEN_PNT < 50``.

They have the syntax of Python, of which there are only comparisons of columns with numbers
and texts, and what joins them. Nothing is executed.
"""

import ast
import operator

import numpy as np

from gammastack.errors import InputError

COMPARISONS = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: np.isin,
    ast.NotIn: lambda column, values: ~np.isin(column, values),
}


def rows_that_meet(query, columns):
    """Return which rows of a table meet a condition.

    Parameters
    ----------
    query : str
    columns : dict of str to ndarray, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    InputError
        The message names the part that cannot be used.
    """
    try:
        return _condition(ast.parse(query.strip(), mode="eval").body, columns)
    except InputError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"it is not a condition ({error})") from error


def _condition(node, columns):
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return np.logical_and.reduce([_condition(part, columns) for part in parts])
        case ast.BoolOp(op=ast.Or(), values=parts):
            return np.logical_or.reduce([_condition(part, columns) for part in parts])
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return _condition(left, columns) & _condition(right, columns)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _condition(left, columns) | _condition(right, columns)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            return ~_condition(operand, columns)
        case ast.Compare(left=first, ops=ops, comparators=others):
            sides = [first, *others]
            compared = zip(ops, sides, others, strict=False)
            return np.logical_and.reduce(
                [_comparison(op, *pair, columns) for op, *pair in compared]
            )
    raise InputError(f"'{ast.unparse(node)}' is not a condition")


def _comparison(op, left, right, columns):
    sides = [_values(side, columns) for side in (left, right)]
    text = f"{ast.unparse(left)} and {ast.unparse(right)}"
    if not any(isinstance(side, np.ndarray) for side in sides):
        raise InputError(f"none of {text} is a column")
    if len({kind for side in sides for kind in _kinds(side)}) > 1:
        raise InputError(f"{text}: a text cannot be compared with a number")
    is_list = isinstance(sides[1], list)
    if is_list != isinstance(op, ast.In | ast.NotIn) or isinstance(sides[0], list):
        raise InputError(
            f"{text}: a list is possible after 'in' only, and needed there"
        )
    return COMPARISONS[type(op)](*sides)


def _values(node, columns):
    """Return a column, a number, a text, or a list of numbers or texts."""
    match node:
        case ast.Name(id=name) if name in columns:
            return columns[name]
        case ast.Name(id=name):
            raise InputError(f"there is no column {name}")
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(
            op=ast.USub(), operand=ast.Constant(value=int() | float() as value)
        ):
            return -value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_values(item, {}) for item in items]
    raise InputError(f"'{ast.unparse(node)}' is not a column, a number or a text")


def _kinds(side):
    """Yield whether values are texts."""
    if isinstance(side, np.ndarray):
        yield side.dtype.kind in "OSU"
    elif isinstance(side, list):
        yield from (isinstance(value, str) for value in side)
    else:
        yield isinstance(side, str)
