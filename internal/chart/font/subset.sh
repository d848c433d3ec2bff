#!/bin/sh
# Cuts Debian's Droid Sans Fallback (package fonts-droid-fallback, Apache-2.0)
# to GB 2312, with fonttools (package python3-fonttools). Latin letters come
# from the Go fonts: Droid Sans Fallback has none.
set -eu
cd "$(dirname "$0")"
/usr/bin/python3 - >chars.txt <<'END'
chars = set()
for high in range(0xa1, 0xf8):
    for low in range(0xa1, 0xff):
        try:
            chars.add(bytes((high, low)).decode("gb2312"))
        except UnicodeDecodeError:
            pass
print("".join(sorted(chars)))
END
SOURCE_DATE_EPOCH=0 /usr/bin/python3 -m fontTools.subset /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf \
	--text-file=chars.txt --no-hinting --drop-tables+=GSUB,GPOS,GDEF,vhea,vmtx --output-file=droid-gb2312.ttf
rm chars.txt
