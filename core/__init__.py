"""The engine of virt-salvage: finds, protects, opens and copies the disks of dead virtual machines.

Knows no screen: nothing here imports a user interface or prints. Both faces, the wizard and the
command line, drive it through `core.session`.
"""

__version__ = "0.1.0"
