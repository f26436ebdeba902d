"""No file is looked for behind the collector's URL; but what is configured for folders and files on its path holds as
for any other handler: the status's answers to GET at the same URL, and for that httpd looks as ever."""
# SPDX-License-Identifier: Apache-2.0

import os

import pytest
from cases import A
from server import COLLECTED, LIBEXECDIR, Httpd

DENIED = "Require all denied"
SHIPPED = '<Directory "/">\nOptions FollowSymLinks\nAllowOverride None\n</Directory>\n'  # as distributions have it
OVERRIDE = SHIPPED + '<Directory "@ROOT@/htdocs">\nAllowOverride All\n</Directory>\n'
STREAM = 'ClickstreamStream clicks file path=@ROOT@/objects\n'
INDEXED = f'LoadModule dir_module "{LIBEXECDIR}/mod_dir.so"\nDirectoryIndex index.html\n' + STREAM + SHIPPED
LOOKED_AT = "<If \"%{REQUEST_METHOD} == 'GET'\">\nSetHandler clickstream-status\n</If>"
GRANTED = "Require all granted"


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
    "a folder that is not there": (SHIPPED + section("Directory", "@ROOT@/htdocs/poc-kstream"), {}, True),
    "a folder that is not there, where others are denied": (
        SHIPPED + section("Directory", "@ROOT@/htdocs") + section("Directory", "@ROOT@/htdocs/*", GRANTED), {}, False),
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


FOLDER = {"htdocs/poc-kstream": "# nothing"}
HTDOCS = SHIPPED + section("Directory", "@ROOT@/htdocs")
# The same where it matters what is there: for which path below the collector's URL.
PATHS = {
    "a folder, by its own section": (SHIPPED + section("Directory", "@ROOT@/htdocs/poc-kstream"), FOLDER, "", False),
    "a folder, by the files of its name": (SHIPPED + section("Files", "poc-kstream"), FOLDER, "", True),
    "a folder, by files of no name": (SHIPPED + section("FilesMatch", "^$"), FOLDER, "", False),
    "nothing, by files of no name": (SHIPPED + section("FilesMatch", "^$"), {}, "", True),
    "a folder, by files in .htaccess": (
        OVERRIDE, {**FOLDER, "htdocs": '<Files "poc-kstream">\nRequire all denied\n</Files>'}, "", True),
    "nothing, by files in .htaccess": (
        OVERRIDE, {"htdocs": '<Files "poc-kstream">\nRequire all denied\n</Files>'}, "", False),
    "a folder, by a pattern of its slash": (SHIPPED + section("DirectoryMatch", "stream/$"), FOLDER, "", False),
    "nothing, by a pattern of its slash": (SHIPPED + section("DirectoryMatch", "stream/$"), {}, "", True),
    "path info, by the files of the name before": (SHIPPED + section("Files", "poc-kstream"), {}, "x", False),
    "path info, by the files of its name": (SHIPPED + section("Files", "x"), {}, "x", True),
    "a file that is not there, in a folder": (SHIPPED + section("Files", "x"), FOLDER, "x", False),
    "path info, by a folder of its name": (
        SHIPPED + section("Directory", "@ROOT@/htdocs/poc-kstream/d"), {}, "d/e/f", True),
    "path info, where only a folder of its name is granted": (
        HTDOCS + section("Directory", "@ROOT@/htdocs/poc-kstream/d", GRANTED), {}, "d/e/f", False),
    "path info behind a folder, where only one of its name is granted": (
        HTDOCS + section("Directory", "@ROOT@/htdocs/poc-kstream/d", GRANTED), FOLDER, "d/e/f", False),
}


@pytest.mark.parametrize("what", [*CASES, *PATHS])
def test_what_holds_on_the_path(what):
    configuration, files, path, is_let_in = PATHS[what] if what in PATHS else (*CASES[what][:2], "", CASES[what][2])
    with Httpd(STREAM + configuration, LOOKED_AT) as server:
        for folder, text in files.items():
            (server.root / folder).mkdir(exist_ok=True)
            (server.root / folder / ".htaccess").write_text(text + "\n")
        server.expected_errors = ["AH01630"]  # client denied by server configuration
        path = "/poc-kstream/" + path
        response = server.post(A, path=path)
        assert (response.status, response.text == COLLECTED) == ((200, True) if is_let_in else (403, False))
        assert server.request("GET", path).status == response.status


# What an ordinary configuration has besides, and where httpd looks because of it.
ORDINARY = {
    "nothing": ("", False),
    "other folders": (section("Directory", "@ROOT@/htdocs/private") + section("Directory", "/usr", GRANTED), False),
    "hidden files": (section("FilesMatch", r"^\.ht") + section("DirectoryMatch", r"/\.git"), False),
    "all files": (section("Files", "*", GRANTED), False),
    "DocumentRoot": (section("Directory", "@ROOT@/htdocs", GRANTED), False),
    "that folder": (section("Directory", "@ROOT@/htdocs/poc-kstream", GRANTED), True),
    "all folders in DocumentRoot": (section("Directory", "@ROOT@/htdocs/*", GRANTED), True),
    "files of that name": (section("Files", "poc-kstream", GRANTED), True),
}


@pytest.mark.parametrize("what", ORDINARY)
def test_no_file_is_looked_for(what):
    """A pipe of that name would be refused if it was seen."""
    configuration, is_seen = ORDINARY[what]
    with Httpd(STREAM + SHIPPED + configuration) as server:
        os.mkfifo(server.root / "htdocs/poc-kstream")
        server.expected_errors = ["AH00038"]  # it is neither a file nor a folder
        assert server.post(A).status == (403 if is_seen else 200)


def test_a_folder_of_that_name_is_not_served():
    """Nor does mod_dir look for an index in it."""
    with Httpd(INDEXED) as server:
        for folder in ("htdocs/poc-kstream", "htdocs/poc-kstream/trial"):
            (server.root / folder).mkdir()
            (server.root / folder / "index.html").write_text("a page")
        for path in ("/poc-kstream/", "/poc-kstream/trial/"):
            assert server.post(A, path=path).text == COLLECTED
            assert server.request("GET", path).status == 405


GET = "<If \"%{REQUEST_METHOD} == 'GET'\">\nSetHandler none\n</If>"
REWRITTEN = f'LoadModule rewrite_module "{LIBEXECDIR}/mod_rewrite.so"\nRewriteEngine On\n'
# What takes a request away from us once its URL has been looked up, and which page is there instead.
TAKEN_AWAY = {
    "a rewritten URL": (REWRITTEN + "RewriteCond %{REQUEST_METHOD} GET\nRewriteRule ^/poc-kstream/$ /index.html [PT]\n",
                        {}, "", "index.html"),
    "a folder's <If>": (section("Directory", "@ROOT@/htdocs", GET), {}, "", "poc-kstream/index.html"),
    "a folder's <If>, for a file": (section("Directory", "@ROOT@/htdocs", GET), {}, "a.html", "poc-kstream/a.html"),
    "the <If> of a .htaccess": (OVERRIDE, {"htdocs/.htaccess": GET}, "", "poc-kstream/index.html"),
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_a_page_is_found_where_the_request_is_no_longer_ours(what):
    configuration, files, path, page = TAKEN_AWAY[what]
    path = "/poc-kstream/" + path
    with Httpd(INDEXED + configuration) as server:
        (server.root / "htdocs/poc-kstream").mkdir()
        for name, text in {**files, "htdocs/" + page: "a page"}.items():
            (server.root / name).write_text(text)
        response = server.request("GET", path)
        assert (response.status, response.text) == (200, "a page")
        assert server.post(A, path=path).text == COLLECTED
