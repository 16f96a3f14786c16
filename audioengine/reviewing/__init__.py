# SPDX-License-Identifier: Apache-2.0
"""Output for reviewers: waveforms."""
