# Removes a folder of the lab when nobody works in it any more.
#
# Standard input is a pipe; the lab's process and the supervisors of its servers hold the other end. It ends with the last of them.
# $1 is the folder.
cat >/dev/null
# What the last server wrote may still be arriving: 20 x 100 ms.
tries=20
until rm -rf -- "$1" 2>/dev/null || [ "$tries" -eq 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
done
