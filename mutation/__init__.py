# SPDX-License-Identifier: Apache-2.0
"""A mutation tester over chosen modules: it finds changes of the code that no test notices."""
