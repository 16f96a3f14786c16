# SPDX-License-Identifier: Apache-2.0
"""The bitstream of MPEG-1, 2 and 2.5 Layer III, one module per stage of the standard.

``header`` → ``side_info`` → ``main_data`` → ``splice`` → ``reservoir`` follow a frame from its
sync word to its bits and back; ``tags``, ``info_tag`` and ``index`` turn a file into frames.
``legal_windows`` says which windows may follow one another.
This package knows nothing about calls, edits or PCM.
"""
