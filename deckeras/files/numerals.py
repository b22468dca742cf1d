"""Recognize numbers as people write them: decimal commas, grouped thousands, percent signs, currencies.

A column of text holds numbers if all its values can be read in one `Form`. Several forms can fit: "1,234" is 1.234 or
1234. The other values of the column and the other columns of the table then decide. If they cannot, the column remains
text, and `Found.ambiguous` names it.
"""

import dataclasses
import functools
import re
import unicodedata

import numpy as np

_CODES = "EUR USD GBP CHF JPY CNY INR SEK NOK DKK PLN CZK HUF BRL MXN AUD CAD NZD ZAR RUB TRY"
_MONEY = r"(?:[A-Z]{1,3})?\$|[€£¥₹₽₩₺₪₫₴₦₱฿¢]|zł|kr\.?|Fr\.|Rs\.?|" + _CODES.replace(" ", "|")
_AFFIX = rf"(?:%|‰|{_MONEY})"
_BLANK = " \u00a0\u202f\u2009"
_GROUPS = {",": ",", ".": r"\.", " ": f"[{_BLANK}]", "'": "['’]"}
_EXPONENT = r"(?:[eE][-+]?\d+)?"
_SIGN = r"[-+−–]?"
_PLAIN = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_WORD = r"[^\W\d_]{1,11}\.?"
_MONTH = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DATES = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?"
    r"|\d{1,3}:\d{2}(:\d{2})?(\.\d+)?( ?[AaPp]\.?[Mm]\.?)?|\d{1,2}\.\d{2}\.\d{2}|\d{8}T\d{4,6}.*"
    # A month, week or quarter of a year.
    r"|(19|20)\d{2}[-/.](0?[1-9]|1[0-2])|(0?[1-9]|1[0-2])[-/](19|20)\d{2}|\d{4}[- ]?[WQ]\d{1,2}|Q\d[- /]\d{4}"
    # Names of months and weekdays in any language.
    rf"|({_WORD},? )?\d{{1,2}}(st|nd|rd|th|\.)?[- ](de )?{_WORD}[- ,]+(de )?(\d{{4}}|\d{{2}})( .*)?"
    rf"|({_WORD},? )?{_WORD} \d{{1,2}}(st|nd|rd|th)?,? \d{{4}}( .*)?|{_MONTH}[- ]'?(\d{{4}}|\d{{2}})"
    r"|\d{4}年\d{1,2}月(\d{1,2}日)?"
    r"|\d+ days?,? \d{1,2}:\d{2}.*|P(?=.)(\d+[YMWD])*(T(\d+[HMS])+)?"
)
_MISSING = ("", "?", "-", "--", "na", "n/a", "nan", "null", "none", "<na>", "#n/a", "nil", ".", "missing", "unknown")


@dataclasses.dataclass(frozen=True)
class Form:
    """One way of writing numbers.

    Attributes:
        decimal: str, the decimal separator.
        thousands: str or None, the separator between groups of three digits.
    """

    decimal: str = "."
    thousands: str | None = None

    def pattern(self):
        """Return the regular expression that the digits of a number match."""
        decimals = r"(?:\.\d*)?" if self.decimal == "." else rf"(?:{re.escape(self.decimal)}\d+)?"
        if self.thousands is None:
            return rf"(?:\d+{decimals}|{re.escape(self.decimal)}\d+){_EXPONENT}"
        group = _GROUPS.get(self.thousands, re.escape(self.thousands))
        # In India, the groups above the thousands have two digits.
        whole = rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+|[1-9]\d?(?:{group}\d{{2}})+{group}\d{{3}}|\d{{1,3}}"
        return rf"(?:(?:{whole}){decimals}|{re.escape(self.decimal)}\d+){_EXPONENT}"


@functools.cache
def _wrapped(marks=""):
    """Return the pattern of digits with a sign and an affix. Further marks may stand between the digits."""
    between = rf"\d.,'’{_BLANK}{re.escape(marks)}"
    return re.compile(
        rf"(?P<open>\()?\s*(?P<sign>{_SIGN})\s*(?P<before>{_AFFIX})?\s*(?P<inner>{_SIGN})"
        rf"(?P<digits>[{between}]*\d[.,]?(?:[eE][-+]?\d+)?)\s*(?P<after>{_AFFIX})?(?P<minus>-)?\s*(?P<close>\))?"
    )


# Map the digits of other scripts, such as ٣ or ３, to ASCII digits.
_DIGITS = {code: str(unicodedata.digit(chr(code))) for code in range(128, 0x20000) if chr(code).isdecimal()}


@dataclasses.dataclass
class Found:
    """The result of `recognize`.

    Attributes:
        forms: dict from each column whose values are all numbers to its `Form`.
        affixes: dict from column to the sign next to all its numbers, such as "%".
        ambiguous: dict from column to a value that can be read in two ways.
        bracketed: list of the columns with negative numbers in parentheses or with a trailing minus sign.
        dotted: bool, whether a column shows that the table uses decimal points.
        truths: list of the columns that hold true and false.
        padded: list of the columns of whole numbers with leading zeros.
        long: list of the columns of whole numbers that float64 cannot represent exactly.
        commas: list of the columns in which a number has a decimal comma.
    """

    forms: dict = dataclasses.field(default_factory=dict)
    affixes: dict = dataclasses.field(default_factory=dict)
    ambiguous: dict = dataclasses.field(default_factory=dict)
    bracketed: list = dataclasses.field(default_factory=list)
    dotted: bool = False
    truths: list = dataclasses.field(default_factory=list)
    padded: list = dataclasses.field(default_factory=list)
    long: list = dataclasses.field(default_factory=list)
    commas: list = dataclasses.field(default_factory=list)


def is_number(text):
    """Return whether the text is a number in any form."""
    text = ascii_digits(text.strip())
    if _PLAIN.fullmatch(text):
        return True
    if "\t" in text:
        # The text comes from two cells, a sign and a number.
        return False
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return True
    match = _wrapped().fullmatch(text)
    if not match or bool(match["open"]) != bool(match["close"]):
        return False
    return any(re.fullmatch(form.pattern(), match["digits"]) for form in _allowed(None, None))


def ascii_digits(text):
    """Return a text with the digits of other scripts replaced by ASCII digits."""
    return text if text.isascii() else text.translate(_DIGITS)


def is_missing(text, na=()):
    """Return whether the text commonly means a missing value, or is one of `na`."""
    return text.strip().lower() in _MISSING or text in na


def is_date(text):
    """Return whether the text is a date or a time of day."""
    return _DATES.fullmatch(text.strip()) is not None


def recognize(columns, *, decimal=None, thousands=None, dotted=False, unsigned=()):
    """Find the form of the numbers in columns of text.

    Args:
        columns: dict from name to a pandas Series of texts without missing values.
        decimal, thousands: str, the separators if they are known; default None.
        dotted: bool, default False. Whether other columns of the table have decimal points.
        unsigned: columns that have plain numbers beside the texts, so that none of these may have a sign such as "%".

    Returns:
        `Found`.

    Example:
        >>> import pandas
        >>> from deckeras.files import numerals
        >>> found = numerals.recognize({"price": pandas.Series(["1.200,50 €", "7,00 €"])})
        >>> found.forms["price"], found.affixes["price"]
        (Form(decimal=',', thousands='.'), '€')
    """
    found, open_columns = Found(dotted=dotted), {}
    for name, values in columns.items():
        texts = values.map(ascii_digits)
        parts = _parts(texts, _wrapped(f"{decimal or ''}{thousands or ''}"))
        if parts is None:
            continue
        digits, affix = parts
        if affix and name in unsigned:
            continue
        forms = [form for form in _allowed(decimal, thousands) if digits.str.fullmatch(form.pattern()).all()]
        if not forms:
            continue
        if affix:
            found.affixes[name] = affix
        if texts.str.contains(r"\(|-\s*$").any():
            found.bracketed.append(name)
        forms = _without_needless(forms, digits)
        if len({form.decimal for form in forms}) == 1:
            found.forms[name] = forms[0]
        else:
            open_columns[name] = forms, digits
    decimals = {form.decimal for name, form in found.forms.items() if _shows(form, columns[name])}
    decimals |= {"."} if found.dotted else set()
    found.dotted = "." in decimals
    for name, (forms, digits) in open_columns.items():
        form = _settled(forms, digits, decimals)
        if form is not None:
            found.forms[name] = form
        else:
            found.ambiguous[name] = next(text for text in columns[name] if re.search(r"[.,]", text))
    with_commas = (name for name, form in found.forms.items() if form.decimal == ",")
    found.commas = [name for name in with_commas if columns[name].str.contains(",", regex=False).any()]
    return found


def convert(texts, form):
    """Convert a column of texts to float64 numbers. Texts that are not numbers of this form become NaN.

    Args:
        texts: pandas Series of str and missing values.
        form: `Form`.
    """
    import pandas

    parts = texts.map(ascii_digits, na_action="ignore").str.strip()
    parts = parts.str.extract(_wrapped(f"{form.decimal}{form.thousands or ''}"))
    digits = parts["digits"].where(parts["digits"].str.fullmatch(form.pattern(), na=False))
    if form.thousands is not None:
        digits = digits.str.replace(_GROUPS.get(form.thousands, re.escape(form.thousands)), "", regex=True)
    numbers = pandas.to_numeric(digits.str.replace(form.decimal, ".", regex=False), errors="coerce").astype("float64")
    negative = parts["open"].notna() | parts["minus"].notna()
    for sign in ("sign", "inner"):
        negative |= parts[sign].isin(["-", "−", "–"])
    infinite = texts.str.strip().str.lower().str.lstrip("+-").isin(["inf", "infinity"])
    numbers = numbers.mask(infinite, np.inf)
    negative |= infinite & texts.str.strip().str.startswith("-")
    return numbers.where(~negative, -numbers)


def _parts(texts, wrapped):
    """Return (digits of the texts, their common sign or ""), or None if one is not a number or the signs differ."""
    texts = texts.drop_duplicates().str.strip()
    texts = texts[~texts.str.lower().str.lstrip("+-").isin(["inf", "infinity"])]
    head = texts.head(1)
    if head.empty or not head.str.fullmatch(wrapped).all():
        return None
    parts = texts.str.extract(wrapped)
    whole = texts.str.fullmatch(wrapped) & (parts["open"].notna() == parts["close"].notna())
    if not whole.all():
        return None
    signs = set((parts["before"].fillna("") + parts["after"].fillna("")).unique())
    return (parts["digits"], signs.pop()) if len(signs) == 1 else None


@functools.cache
def _allowed(decimal, thousands):
    """Return the forms with these characters, where None stands for any."""
    marks = (None, *_GROUPS) if thousands is None else (None, thousands)
    return tuple(
        Form(point, mark)
        for mark in marks
        for point in (".," if decimal is None else decimal)
        if point not in (mark, thousands)
    )


def _without_needless(forms, digits):
    """Remove forms with thousands if no value has any, and all forms but one if no value has decimals either."""
    shown = digits.str.cat()
    forms = [
        form
        for form in forms
        if form.thousands is None or re.search(rf"\d{_GROUPS.get(form.thousands, re.escape(form.thousands))}\d", shown)
    ]
    return forms if re.search("[.,]", shown) else forms[:1]


def _shows(form, texts):
    """Return whether the texts have decimals or groups, and so show the form of other columns as well."""
    return form.thousands in (",", ".") or bool(texts.str.contains(form.decimal, regex=False).any())


def _settled(forms, digits, decimals):
    """Return the form that the decimals of other columns or the values of this one show, else None."""
    fitting = [form for form in forms if form.decimal in decimals] if len(decimals) == 1 else forms
    return fitting[0] if len({form.decimal for form in fitting}) == 1 else _grouped(forms, digits)


def _grouped(forms, digits):
    """Return the form with thousands if the values imply it, otherwise None.

    In a column with three decimals everywhere, no number is whole. If trailing zeros are omitted, none ends in 0.
    """
    grouped = [form for form in forms if form.thousands is not None]
    if len(grouped) != 1:
        return None
    whole = digits.str.fullmatch(r"\d+")
    return grouped[0] if whole.any() and digits[~whole].str.endswith("0").any() else None
