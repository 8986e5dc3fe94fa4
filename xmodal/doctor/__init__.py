"""What can be wrong in a library, found and mended: :func:`~xmodal.doctor.checkup.check_up`."""
