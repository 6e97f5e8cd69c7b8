"""Standard input, output and error of the command, also where a caller has closed them.

Programs such as cron start others with closed streams. The next file that is opened then takes the
number of a closed stream, and what a library prints would end in that file.
"""

import io
import os
import re
import sys


def prepare() -> None:
    """Occupies closed streams, and lets names that are not Unicode be printed.

    A closed standard output stays None, so that `print` says nothing, and `-o -` can be refused.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # as long as the process
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def one_line(message: object) -> str:
    """Returns a message without line breaks; other spaces stay, since file names may have them."""
    return re.sub(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*", " ", str(message)).strip()


def of_system(error: OSError) -> str:
    """Returns what the operating system says of a failed call, with the file if it names one."""
    name = "" if error.filename is None else f"'{error.filename}': "
    return f"{name}{error.strerror or error}"
