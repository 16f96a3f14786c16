# SPDX-License-Identifier: Apache-2.0
"""The custody record: one document an output, each chained to the one before by its digest.

`canonical` writes documents in their one form, `chain` links them and judges links, `record`
appends them to a file, `entry` describes an output, `verdict` what was found,
`writer` is whatever takes entries.
"""
