"""What each step is, what can go wrong, and what it does by hand."""

from collections.abc import Mapping

from core.i18n import N_
from tui.screens.lesson import Lesson
from tui.screens.lesson_commands import COMMANDS
from tui.screens.practice_lessons import PRACTICE

LESSONS: Mapping[str, Lesson] = {
    **PRACTICE,
    "start": Lesson(
        N_("What virt-salvage does"),
        N_(
            "virt-salvage brings files back from the disk of a virtual machine that no longer starts. Seven"
            " steps lead there: disk, protect, partition, open, files, copy, done. You can go back at each."
        ),
        N_(
            "Nothing on the disk can be spoilt: it is never written to, unless you order that by typing its"
            " name. If the program dies or the host crashes, the next start offers to take down what was left"
            " up."
        ),
    ),
    "leftovers": Lesson(
        N_("What earlier sessions left"),
        N_(
            "Everything that is attached or mounted stands in the session's log before it is done. Here the"
            " logs of ended sessions are read backwards, and each thing is taken down, last first."
        ),
        N_(
            "A mount that is in use stays up; the message says who uses it. What is not ours any more is"
            " recognised and left alone."
        ),
        COMMANDS["leftovers"],
    ),
    "disk": Lesson(
        N_("Choosing the disk"),
        N_(
            "An image file (qcow2, raw, vmdk, vdi, vhd, vhdx and others) or a block device. Only its header"
            " is read here, by a small reader of our own; no other program opens it yet."
        ),
        N_(
            "A header can point to other files: a backing file, a data file. If one lies outside the disk's"
            " own folder, you are asked, because a header made with bad intent could show any file of the"
            " host. A guest can also write a header to its raw disk; then you say what the disk is."
        ),
        COMMANDS["disk"],
    ),
    "protect": Lesson(
        N_("Protecting the disk"),
        N_(
            "Read only: nothing is written, and the guest's journal is not replayed. Overlay: a thin"
            " qcow2 layer takes every write, so that it can be mounted for writing while the disk stays as"
            " it is; a repair or a replay of the journal makes one of its own. Backup: a byte copy, read"
            " back and compared."
        ),
        N_(
            "A machine that still runs writes to its disk: then nothing is attached, for what is read"
            " would be neither old nor new. A dying medium gets worse with each read: back it up first."
        ),
        COMMANDS["protect"],
    ),
    "backup": Lesson(
        N_("The backup"),
        N_(
            "The disk's own files are copied byte by byte, the whole chain below it too, and the copy is read"
            " back from the medium and compared. Where the file system shares blocks, that takes an instant."
            " Cut off, the same backup goes on where it stopped. A conversion is another thing: it keeps what"
            " the machine saw, and loses what a damaged image still holds."
        ),
        N_(
            "On a failing medium some places cannot be read: the good ones are copied first, the bad ones"
            " tried again and listed, zeros stand in their place. A backup on the same medium dies with it."
            " An old backup may be of another disk, or of another day: it is compared before it counts."
            " While a machine writes, a copy would be neither old nor new. Of a logical volume a snapshot can"
            " be copied instead: it is as after a power cut, and lasts until writes have filled its room."
        ),
        COMMANDS["backup"],
    ),
    "commit": Lesson(
        N_("Writing changes back"),
        N_(
            "What was written to the mount lies in the overlay; the disk has none of it yet. Here it is shown"
            " file by file. Only when you type the disk's name is a verified backup made, the overlay written"
            " into the disk, and the result compared. Whoever goes back leaves the disk as it is and keeps"
            " the overlay."
        ),
        N_(
            "It is the one act that changes the original. Nobody may have the disk open meanwhile. If it is"
            " cut off, the disk holds a part: do it again (it goes on), or restore the backup."
        ),
        COMMANDS["commit"],
    ),
    "snapshot": Lesson(
        N_("Snapshots inside the image"),
        N_(
            "qcow2 can keep earlier states of a disk inside the same file. Any of them can be opened like the"
            " disk itself, for reading; what was deleted since is there still."
        ),
        N_(
            "To apply a snapshot with qemu-img throws away everything that came after it. That is never done"
            " here."
        ),
        COMMANDS["snapshot"],
    ),
    "partitions": Lesson(
        N_("The partitions"),
        N_(
            "The map shows the disk to scale, dots are gaps. The table counts in sectors; a sector has 512"
            " bytes on nearly every disk. Where a partition begins in bytes is its first sector times the"
            " sector size: that is the offset for mount and losetup. An extended partition is a box that"
            " holds the logical ones, numbered from 5 on. Logical volumes (LVM), arrays (md) and what is"
            " encrypted (LUKS) stand below the partition that they lie in, and are opened from there."
        ),
        N_(
            "A table can be damaged, cut off, or contradict itself; each such thing is told as a sentence."
            " Several readers are compared. A partition without a known content may be encrypted, empty or"
            " damaged. Where the table is lost, the disk can be searched, and what is found can be"
            " written to an overlay or a copy."
        ),
        COMMANDS["partitions"],
        keys=N_("s searches, w then writes what was found, o goes back to the disk's own table."),
    ),
    "passphrase": Lesson(
        N_("The passphrase"),
        N_(
            "Images (qcow2, LUKS) and partitions (LUKS, BitLocker) may be encrypted, and servers want a"
            " password. It goes through a pipe to the program that opens them: QEMU, cryptsetup, nbdkit. The"
            " kernel decrypts a partition, read only. The device bears this session's name, and what is in it"
            " is hidden from the host: nothing there activates a volume group that lies inside."
        ),
        N_(
            "A wrong passphrase does no harm; try the keyboard layout of the machine that it comes from."
            " Trying one takes seconds and memory, on purpose. BitLocker takes its recovery key of 48 digits"
            " too. A damaged header of LUKS2 has a second copy, which is used where it is whole; without any"
            " header nobody can decrypt the data."
        ),
        COMMANDS["passphrase"],
    ),
    "search": Lesson(
        N_("The search for lost partitions"),
        N_(
            "The whole disk is read, holes left out, and every sector looked at for the superblocks of file"
            " systems, LVM, LUKS, RAID and swap, the copies of them included. Each says where it begins and"
            " how long it is; at the end what fits together is shown as a table."
        ),
        N_(
            "A disk remembers: file systems that were made anew, and images that lay in files, leave"
            " superblocks too. What does not fit with the rest is set aside, with the reason; it can be"
            " opened all the same. A dying medium gets worse with each read: back it up first, and search"
            " the backup."
        ),
        COMMANDS["search"],
        keys=N_("Enter on one of them ends the search and opens it."),
    ),
    "volume": Lesson(
        N_("Opening the partition"),
        N_(
            "A loop device shows the bytes from the offset on as a disk of its own, with a limit at the"
            " partition's end. It is mounted with nosuid, nodev and noexec, at a place that only this program"
            " sees: read only and without replaying the journal, or for writing where an overlay takes what"
            " the journal brings."
        ),
        N_(
            "A damaged file system may refuse to be mounted: the disk was only read, and a backup is the"
            " next thing to make. Mounted in sight, other programs can keep it busy; then it cannot be"
            " taken down until they end."
        ),
        COMMANDS["volume"],
    ),
    "check": Lesson(
        N_("Is the file system sound?"),
        N_(
            "After a crash the last changes stand in the journal and not yet in their places: that is no"
            " damage. The machine would carry the journal out at its next start; here that is done in an"
            " overlay, and the files before and after are compared. A check only reads. A repair makes the"
            " records fit together again, at times by throwing away what does not fit."
        ),
        N_(
            "A check without the journal finds faults that are none. A repair can lose files that could"
            " still be read before: so it is made in an overlay, and what it takes is shown. Copy out what"
            " can be read first."
        ),
        COMMANDS["check"],
    ),
    "subvolumes": Lesson(
        N_("Subvolumes and snapshots"),
        N_(
            "A btrfs holds several trees of files: subvolumes. Distributions keep the root and /home in one"
            " each. A snapshot is a subvolume as another one was at some time: older versions of files are"
            " often there."
        ),
        N_(
            "Nothing: the disk is only read, whichever is opened. ID 5, the top, shows all of them as"
            " folders."
        ),
        COMMANDS["subvolumes"],
    ),
    "files": Lesson(
        N_("The files"),
        N_(
            "Here you mark what shall be copied, in as many folders as you like. Files can be found by name,"
            " size, time, owner and content, and what matters first is known. Links are followed inside the"
            " guest's tree only."
        ),
        N_(
            "Names may hold anything: what cannot be shown stands there as \\x1b or the like. Files that"
            " cannot be read are listed in the report and do not stop the rest."
        ),
        COMMANDS["files"],
        keys=N_(
            "Space marks, f finds, w marks what matters first; [+] goes with its marked folder. The line"
            " below says how much it is."
        ),
    ),
    "progress": Lesson(
        N_("The work is going on"),
        N_(
            "The upper bar is the whole, the lower one the current file. The time left is a guess from the"
            " rate of the last seconds."
        ),
        N_(
            "Esc stops. What is complete by then stays: the same copy or backup, started again, goes on from"
            " there. An archive, and an image in another format, begin anew."
        ),
    ),
    "done": Lesson(
        N_("Done"),
        N_(
            "SHA256SUMS holds the checksum of each file as it was read; the report lists the disk, the"
            " volume, every command, what was not read and what could not be kept."
        ),
        N_("What is still up is taken down here: the last thing, or all. The disk is as it was before."),
        COMMANDS["done"],
    ),
    "shown": Lesson(
        N_("Mounted in sight"),
        N_("The volume is at a folder of this host for every program, in a session of its own."),
        N_(
            "It cannot be taken down while something uses it; the message says what. What was written goes"
            " with its overlay, unless it is written back."
        ),
        COMMANDS["shown"],
    ),
    "commands": Lesson(
        N_("The commands"),
        N_(
            "What this step is about to run, from the very objects that will be run, and what was run so far:"
            " each command with why it is run and how it is undone. Nothing is run by looking."
        ),
        N_("A number such as that of a loop device is known only once it is run; it stands there as a name."),
        COMMANDS["commands"],
    ),
    "stack": Lesson(
        N_("The undo stack"),
        N_(
            "What virt-salvage has put up on this host, each session's last first. In a session each thing"
            " rests on those below it, so the last is taken down first: one by one, down to a number, or all."
        ),
        N_("What somebody uses stays up; then it is told who, and what can be done."),
        COMMANDS["stack"],
    ),
    "busy": Lesson(
        N_("Something holds it"),
        N_(
            "A program has a file open there, stands in a folder there, or something is mounted on top."
            " Until it"
            " ends, the kernel does not let go."
        ),
        N_(
            "A program that is ended loses what it has not saved. Taken out of sight, a mount is used on"
            " until"
            " its last user ends, and what it rests on stays up as long."
        ),
        COMMANDS["busy"],
    ),
    "ask": Lesson(
        N_("A path on this host"),
        N_("Type it, or press Tab to complete what you began. ~ stands for your home folder."),
        N_("Nothing is made before Enter; what cannot be right is told below the line."),
    ),
    "preview": Lesson(
        N_("Looking into a file"),
        N_("The file as it is on the guest's disk. What is no text stands there in hexadecimal."),
        N_("Nothing in it can act on your terminal: what cannot be shown stands there as \\x1b or the like."),
        COMMANDS["preview"],
    ),
    "trouble": Lesson(
        N_("Something did not work"),
        N_(
            "What happened, what it means for the data, and what can be done. The choices below do it; the"
            " last"
            " one always goes back."
        ),
        N_(
            "The disk is only read, so trying another way spoils nothing. Where a write-back was cut off, do"
            " it again (it goes on), or restore the backup."
        ),
    ),
    "confirm": Lesson(
        N_("A question"),
        N_("What is to be known before it is answered stands above the choices."),
        N_("Going back is always the last choice, and Esc."),
    ),
    "result": Lesson(
        N_("What came of it"),
        N_("Something is done, or could not be done; what came of it stands here in full."),
        N_("Nothing is asked: Enter closes it."),
    ),
    "quit": Lesson(
        N_("Leaving"),
        N_("What is still up belongs to this program: it takes it down before it ends."),
        N_("What is mounted in sight may be left up; the next start, or virt-salvage undo, takes it down."),
        COMMANDS["quit"],
    ),
    "steps": Lesson(
        N_("Back to a step"),
        N_(
            "Every step that was gone can be gone again with another choice. What hangs below is taken down"
            " first."
        ),
        N_("Files that are copied already stay where they are."),
    ),
    "how": Lesson(
        N_("How to copy"),
        N_(
            "What becomes of files that are at the target already, under which names the files come to lie"
            " there, whether programs of the guest may keep their special rights, and how much of the copy is"
            " read back and compared."
        ),
        N_(
            "A file that lends the rights of its owner is as dangerous on this host as in the guest: leave"
            " that"
            " out unless the tree goes back into a machine."
        ),
        COMMANDS["how"],
    ),
    "target": Lesson(
        N_("Where the files go"),
        N_(
            "A folder, one archive, or another machine. What a folder or an archive cannot keep of owners,"
            " attributes and links is told before the first byte, and kept in a list; of another machine"
            " that is not known."
        ),
        N_("Choose no place that is itself at risk, and none that is too small to hold a second try."),
        COMMANDS["target"],
    ),
    "clash": Lesson(
        N_("Something of that name is there"),
        N_("The copy waits for your answer: leave what is there, keep both, or replace it with the guest's."),
        N_("What is replaced is gone. What was left out stands in the report."),
    ),
    "find": Lesson(
        N_("Finding files"),
        N_(
            "Looks below the folder for names, sizes, times, owners or text, and shows what it finds while it"
            " looks on. Space marks a result for the copy, Enter goes there."
        ),
        N_("Folders that cannot be read are counted; what is in them is not found."),
        COMMANDS["find"],
    ),
    "matters": Lesson(
        N_("What matters first"),
        N_(
            "Where on machines of this kind lies what people miss most, as far as it is there, with its size."
        ),
        N_("What a machine kept elsewhere is not in this list: look through the folders as well."),
    ),
    "palette": Lesson(
        N_("All keys of a screen"),
        N_(
            "Type a word of what you want to do, choose with the arrows, press Enter: it is done as by its"
            " key."
        ),
        N_("Only what the screen below can do now is listed."),
    ),
    "words": Lesson(
        N_("The words of the trade"),
        N_(
            "Each word with what it means. Those that the screen below speaks of come first; type to find"
            " others."
        ),
        N_("A word of another trade may mean something else there: here it means what stands here."),
    ),
}
