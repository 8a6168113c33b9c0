"""Report what is wrong with an option."""


class OptionError(Exception):
    """Report that an option could not be carried out.

    Args:
        message: What is wrong.
        about: The option as it was written, or nothing.
        hint: What a person is told below that, or nothing.
    """

    def __init__(self, message: str, about: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.about = about
        self.hint = hint
