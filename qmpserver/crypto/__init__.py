"""Encryption of disks: ciphers applied to sectors, and the LUKS1 header that keeps their key.

Bytes in, bytes out: nothing here reads or writes, and nothing of it is loaded before it is needed.

- :mod:`packages`: the optional packages that do the work.
- :mod:`ciphers`: block ciphers by their names on the wire and in LUKS headers.
- :mod:`hashes`: hash functions by name, and keys made of passphrases (PBKDF2).
- :mod:`ivs`: what makes sectors of equal content differ.
- :mod:`modes`: a block cipher applied to many sectors at once.
- :mod:`sectors`: cipher, mode and key put together.
- :mod:`splitter`: a key spread over much room, so that erasing any of it erases the key.
- :mod:`luks_names`: which cipher, mode, IV and hash a LUKS header means.
- :mod:`luks_header`: the header's bytes, and what is wrong with them.
- :mod:`luks_keys`: key slots filled, opened and given up.
- :mod:`secret_data`: what a secret object holds, and what may be a passphrase.

Offered: AES, CAST5 and SM4, in the modes ECB, CBC, CTR and XTS.  Serpent, Twofish and DES are refused by name:
the library underneath has none of the first two, and no disk should have the last.

Source: LUKS On-Disk Format Specification 1.2.3; IEEE 1619 (XTS); RFC 8018 (PBKDF2).
"""
