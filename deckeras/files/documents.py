"""Represent documents by TF-IDF: how often each term occurs, relative to the number of documents that contain it."""

import dataclasses
import os

import numpy as np
from scipy import sparse

from deckeras.files import class_labels, columns, layouts, numerals, promises

MAX_TERMS = 2000  # as in the paper, section 4.1
_MIN_DOCUMENTS = 2  # a term in a single document does not relate it to others
_MAX_FRACTION = 0.5  # of the documents; more frequent terms, such as "the", do not distinguish documents


def learn(path, texts):
    """Choose the most frequent terms that occur in at least two and at most half of the documents.

    Args:
        path: the file, for the error message.
        texts: list of str.

    Returns:
        dict from term to its inverse document frequency.

    Raises:
        ValueError: there is no such term.

    Example:
        >>> from deckeras.files import documents
        >>> sorted(documents.learn("a.csv", ["one red apple", "one red car", "a car", "an apple", "one tree"]))
        ['apple', 'car', 'red']
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(min_df=_MIN_DOCUMENTS, max_df=_MAX_FRACTION, max_features=MAX_TERMS)
    try:
        vectorizer.fit(texts)
    except ValueError as error:
        raise ValueError(
            f"{os.fspath(path)!r} should have words that are in two texts or more, and in half of them at most. "
            f"Received: none in {len(texts):,} texts"
        ) from error
    return dict(zip(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.tolist(), strict=True))


def rows(texts, terms):
    """Compute the TF-IDF of documents.

    Args:
        texts: list of str.
        terms: dict from term to its inverse document frequency, as `learn` returns it.

    Returns:
        (n, n_terms) `scipy.sparse.csr_matrix` of float64. Rows have length 1, or are 0 if the document has no
        known term.

    Example:
        >>> from deckeras.files import documents
        >>> documents.rows(["a red car", "a tree"], {"car": 1.0, "red": 1.0}).toarray().round(2).tolist()
        [[0.71, 0.71], [0.0, 0.0]]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not terms:
        return sparse.csr_matrix((len(texts), 0))
    vectorizer = TfidfVectorizer(vocabulary=list(terms))
    vectorizer.idf_ = np.array(list(terms.values()), "float64")
    return vectorizer.transform(texts)


def lay_out(path, table, roles, key, skip):
    """Choose the terms of a table of documents.

    Args:
        path: the file.
        table: `deckeras.files.tables.Table`.
        roles: `deckeras.files.columns.Roles`.
        key, skip: as for `deckeras.files.read`.

    Returns:
        (`Layout`, notices).

    Raises:
        ValueError: the column is missing, holds no texts, or has no terms.
    """
    columns.check_names(table.frame, roles.of_text)
    names, text = roles.named(table), roles.text
    if text in (names, roles.labels):
        raise ValueError(f"--text should name another column than --names and --labels. Received: {text!r} twice")
    texts = table.frame[text].dropna()
    if not texts.map(lambda value: isinstance(value, str) and not numerals.is_number(value)).any():
        what = "no values" if not len(texts) else f"values such as {texts.iloc[0]!r}"
        raise ValueError(f"--text should name a column of texts. Received: {text!r}, which has {what}")
    others = [f'"{column}"' for column in table.frame.columns if column not in (names, roles.labels, text)]
    terms = _terms(path, list(map(str, texts)), roles.need_terms)
    notices = [*table.notices]
    notices += [f'the features are {len(terms):,} terms of "{text}"'] if roles.need_terms else []
    notices += [f"left out beside the text: {columns.listed(others)}"] if others else []
    layout = dataclasses.replace(layouts.of_file(table, names, key, skip), text=text, terms=terms)
    return layout, notices


def _terms(path, texts, need_terms):
    try:
        return learn(path, texts)
    except ValueError:
        if need_terms:
            raise
        return {}


def read(path, table, layout, y, notices):
    """Return the `Rows` of a table of documents.

    Args:
        path, table: as for `lay_out`.
        layout: `Layout`, as `lay_out` returns it.
        y: str, the column with the classes, or None.
        notices: list of str; sentences are appended to it.
    """
    frame = table.frame
    texts = list(map(str, frame[layout.text].fillna("")))
    if not texts:
        raise ValueError(f"{os.fspath(path)!r} should have rows. Received: none")
    promises.check_sparse(path, (len(texts), len(layout.terms)))
    x = rows(texts, layout.terms)
    unknown = int((np.diff(x.indptr) == 0).sum())
    if unknown and layout.terms:
        notices.append(f"{unknown:,} of {len(texts):,} texts have none of the terms, so all their features are 0")
    y = None if y is None else class_labels.of_rows(frame[y], len(frame), f"the column {y!r}", notices)
    return layouts.Rows(x, layouts.row_names(frame, table, layout), list(layout.terms), y, layout, notices, texts)
