"""No file is looked for behind the collector's URL; but what is configured for folders and files on its path holds."""
# SPDX-License-Identifier: Apache-2.0

import pytest
from cases import A
from server import COLLECTED, LIBEXECDIR, Httpd

DENIED = "Require all denied"
SHIPPED = '<Directory "/">\nOptions FollowSymLinks\nAllowOverride None\n</Directory>\n'  # as distributions have it
OVERRIDE = SHIPPED + '<Directory "@ROOT@/htdocs">\nAllowOverride All\n</Directory>\n'
STREAM = 'ClickstreamStream clicks file path=@ROOT@/objects\n'


def section(name, what, directives=DENIED):
    return f'<{name} "{what}">\n{directives}\n</{name.split()[0]}>\n'


# What is configured, the .htaccess files there are, and whether the event is let in.
CASES = {
    "nothing": (SHIPPED, {}, True),
    "symbolic links not followed": (section("Directory", "/", "Options None"), {}, True),
    "symbolic links of their owner": (section("Directory", "/", "Options SymLinksIfOwnerMatch"), {}, True),
    "the root": (SHIPPED + section("Directory", "/"), {}, False),
    "DocumentRoot": (SHIPPED + section("Directory", "@ROOT@/htdocs"), {}, False),
    "another folder": (SHIPPED + section("Directory", "@ROOT@/objects"), {}, True),
    "a folder that is not there": (SHIPPED + section("Directory", "@ROOT@/htdocs/poc-kstream"), {}, False),
    "a pattern": (SHIPPED + section("DirectoryMatch", "htdocs"), {}, False),
    "all files": (SHIPPED + section("Files", "*"), {}, False),
    "files of that name": (SHIPPED + section("Files", "poc-kstream"), {}, False),
    "files of another name": (SHIPPED + section("Files", "poc"), {}, True),
    "files by a pattern": (SHIPPED + section("FilesMatch", "stream$"), {}, False),
    "the URL": (SHIPPED + section("Location", "/poc-kstream/"), {}, False),
    "a .htaccess": (OVERRIDE, {"htdocs": DENIED}, False),
    "a .htaccess that is not looked at": (SHIPPED, {"htdocs": DENIED}, True),
    "a .htaccess in a folder of that name": (OVERRIDE, {"htdocs/poc-kstream": DENIED}, False),
    "a .htaccess that is for others": (OVERRIDE, {"htdocs/poc": DENIED}, True),
}


@pytest.mark.parametrize("what", CASES)
def test_what_holds_on_the_path(what):
    configuration, files, is_let_in = CASES[what]
    with Httpd(STREAM + configuration) as server:
        for folder, text in files.items():
            (server.root / folder).mkdir(exist_ok=True)
            (server.root / folder / ".htaccess").write_text(text + "\n")
        server.expected_errors = ["AH01630"]  # client denied by server configuration
        response = server.post(A)
        assert (response.status, response.text == COLLECTED) == ((200, True) if is_let_in else (403, False))


def test_a_folder_of_that_name_is_not_served():
    """Nor does mod_dir look for an index in it."""
    directives = f'LoadModule dir_module "{LIBEXECDIR}/mod_dir.so"\nDirectoryIndex index.html\n' + STREAM + SHIPPED
    with Httpd(directives) as server:
        (server.root / "htdocs/poc-kstream").mkdir()
        (server.root / "htdocs/poc-kstream/index.html").write_text("a page")
        assert server.post(A).text == COLLECTED
        assert server.request("GET").status == 405
