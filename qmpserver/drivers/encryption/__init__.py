"""What encrypted formats share: a file seen through a cipher, and LUKS headers where they lie.

- :mod:`child`: a child whose bytes are encrypted on their way down and decrypted on their way up.
- :mod:`turns`: writers of the same sectors, one after another.
- :mod:`luks_options`: how a new LUKS header is to be made.
- :mod:`luks_volume`: a LUKS header in a file, opened with a passphrase, made new, described.
- :mod:`luks_amend`: passphrases added and erased so that no power cut loses the last one.

The arithmetic is in :mod:`qmpserver.crypto`, which formats load when they meet an encrypted image.
"""
