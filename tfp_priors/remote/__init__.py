"""Folders and files on object stores, worked on in copies on this disk.

A store has no renames, no appends and no locks that the kernel drops. So what reads and
writes files does so in a copy: fetched first, sent while it grows and at the end. The
store is what counts; a copy is thrown away. Any store that fsspec has will do.
"""

from tfp_priors.remote.copies import cached
from tfp_priors.remote.copies import close
from tfp_priors.remote.copies import local
from tfp_priors.remote.copies import mirror_of
from tfp_priors.remote.copies import mirrored
from tfp_priors.remote.copies import refreshed
from tfp_priors.remote.copies import sent
from tfp_priors.remote.copies import settle
from tfp_priors.remote.folders import named
from tfp_priors.remote.mirror import Mirror
from tfp_priors.remote.store import check_place
from tfp_priors.remote.store import is_remote
