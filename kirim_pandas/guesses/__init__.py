"""Where guesses come from: rules over columns, connected numbers, earlier runs. Pure; numpy only.

A guess names an outcome for contacts whose outcome no count vouches for yet. It is checked by
confirming calls before anything is reported, so a wrong guess costs requests, never a row.
"""
