"""Data files that declare more than they contain, or more than fits in memory, are refused before allocation."""

import bz2
import gzip
import io
import json
import lzma
import os
import resource
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pandas
import pytest
from scipy import io as scipy_io
from scipy import sparse

from deckeras import cli, files
from deckeras.files import hdf5, promises

TERA = 2**40
MEMORY = 2**26


def npy_header(shape, dtype="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def npy(path):
    path.write_bytes(npy_header((TERA, 4)) + bytes(64))


def npy_overflowing(path):
    path.write_bytes(npy_header((2**70, 2**70)))


def npz(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((TERA, 4)) + bytes(64))


def npz_of_a_sparse_matrix(path):
    sparse.save_npz(path, sparse.eye_array(4, format="csr"))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["data.npy"] = npy_header((TERA,))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npz_sparse_with_rows(path):
    sparse.save_npz(path, sparse.coo_array(([1.0], ([0], [0])), shape=(2**50, 2)))


def npz_sparse_with_columns(path):
    sparse.save_npz(path, sparse.csr_array(([1.0], [0], [0, 1]), shape=(1, 2**50)))


def hdf5_chunked(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (TERA, 4), "f8", chunks=(64, 4), fillvalue=1.0)


def hdf5_contiguous(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (TERA, 4), "f8")


def anndata(path, n=3, **parts):
    """Write an AnnData file of a sparse matrix, with parts in the place of its own."""
    matrix = sparse.random_array((n, 4), density=0.5, format="csr", rng=0)
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs["encoding-type"] = parts.get("encoding", "csr_matrix")
        group.attrs["shape"] = parts.get("shape", (n, 4))
        for name in "data", "indices", "indptr":
            if name == parts.get("huge"):
                group.create_dataset(name, (TERA,), "i8", chunks=(64,))
            else:
                group[name] = getattr(matrix, name)
        obs = file.create_group("obs")
        obs.attrs["_index"] = "_index"
        if parts.get("huge") == "names":
            obs.create_dataset("_index", (TERA,), h5py.string_dtype(), chunks=(64,))
        else:
            obs.create_dataset("_index", data=["a"] * n, dtype=h5py.string_dtype())


def matlab_4(path):
    path.write_bytes(struct.pack("<5i", 0, 2**30, 2**10, 0, 2) + b"x\0" + bytes(64))


def matlab_5(path):
    """One variable, whose compressed header promises more than its values."""
    scipy_io.savemat(path, {"x": np.zeros((3, 2))})
    content = bytearray(path.read_bytes())
    dimensions = struct.pack("<ii", 3, 2)
    place = content.index(dimensions)
    content[place : place + 8] = struct.pack("<ii", 2**30, 2**10)
    element = zlib.compress(bytes(content[128:]))
    path.write_bytes(content[:128] + struct.pack("<ii", 15, len(element)) + element)


def svmlight(path):
    path.write_text(f"1 {2**31 - 2}:1\n2 1:1\n")


def parquet(path):
    """A table of many equal values, in few bytes."""
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, pyarrow.schema([("a", pyarrow.float64())])) as writer:
        writer.write_table(pyarrow.table({"a": np.zeros(2**23)}), row_group_size=2**23)


def wide_jsonl(path):
    path.write_text("".join(json.dumps({str(number): 1}) + "\n" for number in range(4000)))


def xlsx(path, change):
    pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]}).to_excel(path, index=False)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["xl/worksheets/sheet1.xml"] = change(members["xl/worksheets/sheet1.xml"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def xlsx_far_cells(path):
    """Two cells at opposite corners of the largest sheet."""
    xlsx(path, lambda sheet: sheet.replace(b'r="B1"', b'r="XFD1"').replace(b'r="A3"', b'r="A1048576"'))


def xlsx_bomb(path):
    xlsx(path, lambda sheet: sheet.replace(b"</sheetData>", b"</sheetData>" + b" " * 2 * MEMORY))


def short_lines(path):
    """A table of many columns, most lines of which have one cell."""
    path.write_text(f"{','.join('abcdefghij' * 30)}\n" * 2 + f"{','.join('1' * 300)}\n" * 600 + "1\n" * 40_000)


TEXT = b"1,2".ljust(4095) + b"\n"  # which all compress fast


def bomb(opener):
    def write(path):
        with opener(path, "wb") as file:
            for _ in range(MEMORY // len(TEXT)):
                file.write(TEXT)

    return write


def zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", TEXT * (MEMORY // len(TEXT)))


def one_hot(path):
    path.write_text("a,b\n" + "".join(f"{number},t{number}\n" for number in range(4000)))


# Each with its name, options of `files.read`, the memory of the machine if it is not the true one, and the promise.
FILES = {
    npy: ("a.npy", {}, None, r"an array of shape \(1099511627776, 4\) promises 35,184,372,088,832 bytes, .* holds 64"),
    npy_overflowing: ("a.npy", {}, None, "promises .* holds 0"),
    npz: ("a.npz", {}, None, "the array 'x' of shape .* promises 35,184,372,088,832 bytes"),
    npz_of_a_sparse_matrix: ("a.npz", {}, None, "the array 'data' of shape .* promises"),
    npz_sparse_with_rows: ("a.npz", {}, None, "a sparse matrix .* promises 9,007,199,254,740,992 bytes"),
    npz_sparse_with_columns: ("a.npz", {}, None, "a batch of 256 rows of a sparse matrix .* promises"),
    hdf5_chunked: ("a.h5", {}, None, "the data set '/x' of shape .* promises 35,184,372,088,832 bytes"),
    hdf5_contiguous: ("a.h5", {}, None, "the data set '/x' of shape .* promises"),
    (lambda path: anndata(path, huge="data")): ("a.h5ad", {}, None, "the data set '/X/data' .* promises"),
    (lambda path: anndata(path, huge="indptr")): ("a.h5ad", {}, None, "the data set '/X/indptr' .* promises"),
    (lambda path: anndata(path, huge="names")): ("a.h5ad", {}, None, "the data set '/obs/_index' .* promises"),
    (lambda path: anndata(path, shape=(3, 2**50))): ("a.h5ad", {}, None, "a batch of 256 rows .* promises"),
    (lambda path: anndata(path, shape=(2**50, 3), encoding="csc_matrix")): ("a.h5ad", {}, None, "sparse .* promises"),
    matlab_4: ("a.mat", {}, None, "the variable 'x' of shape .* promises 8,796,093,022,208 bytes"),
    matlab_5: ("a.mat", {}, None, "the variable 'x' of shape .* promises 8,796,093,022,208 bytes"),
    svmlight: ("a.svmlight", {}, None, "a batch of 256 rows .* promises"),
    parquet: ("a.parquet", {}, MEMORY - 1, r"a table of shape \(8388608, 1\), which promises 67,108,864 bytes"),
    wide_jsonl: ("a.jsonl", {}, MEMORY, r"a table of shape \(4000, 4000\), which promises 128,000,000 bytes"),
    one_hot: ("a.csv", {"one_hot": ["b"]}, MEMORY, r"a table of numbers of shape \(4000, 4001\), which promises"),
    short_lines: ("a.csv", {}, MEMORY, r"a table of shape \(40602, 300\), which promises 97,444,800 bytes"),
    xlsx_far_cells: ("a.xlsx", {}, None, r"cells of shape \(1048576, 16384\), .* promises 137,438,953,472 bytes"),
    xlsx_bomb: ("a.xlsx", {}, MEMORY, "its XML, which promises"),
    bomb(open): ("a.csv", {}, MEMORY, "67,108,864 bytes of text, which promises 134,217,728 bytes"),
    bomb(gzip.open): ("a.csv.gz", {}, MEMORY, "bytes of text, which promises"),
    bomb(bz2.open): ("a.csv.bz2", {}, MEMORY, "bytes of text, which promises"),
    bomb(lzma.open): ("a.csv.xz", {}, MEMORY, "bytes of text, which promises"),
    zip_bomb: ("a.csv.zip", {}, MEMORY, "67,108,864 bytes of text, which promises"),
}  # fmt: skip


def most_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__qualname__.partition(".")[0])
def test_what_is_promised_is_refused(write, tmp_path, monkeypatch):
    name, options, memory, message = FILES[write]
    path = tmp_path / name
    write(path)
    if memory is not None:
        monkeypatch.setattr(promises, "memory", lambda: memory)
    before = most_memory()
    with pytest.raises(ValueError, match=message) as caught:
        files.read(path, **options)
    assert repr(str(path)) in str(caught.value)
    assert "Copy or write it again" in str(caught.value) or "read in parts" in str(caught.value)
    assert most_memory() - before < MEMORY


def test_what_is_held_is_read(tmp_path, monkeypatch):
    """Small tables are read where memory is small, too."""
    monkeypatch.setattr(promises, "memory", lambda: 2**17)
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=list("abc"))
    frame.to_csv(tmp_path / "a.csv.bz2", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    np.savez_compressed(tmp_path / "a.npz", frame)
    scipy_io.savemat(tmp_path / "a.mat", {"x": frame.to_numpy()}, do_compression=True)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = frame
    for path in tmp_path.iterdir():
        np.testing.assert_allclose(files.read(path).x, frame, rtol=1e-12)


def test_a_huge_image_is_refused(tmp_path):
    """Pillow knows its size from its first bytes."""
    header = struct.pack(">II5B", 2**20, 2**20, 8, 0, 0, 0, 0)
    chunks = b""
    for name, content in (b"IHDR", header), (b"IDAT", zlib.compress(bytes(64))), (b"IEND", b""):
        chunks += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(ValueError, match=r"a\.png' cannot be read .*1099511627776 pixels"):
        files.read(tmp_path)


def test_no_memory_is_an_error_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")

    def fail(*_):
        raise MemoryError("no more")

    monkeypatch.setattr("deckeras.files.tables.read", fail)
    with pytest.raises(ValueError, match=r"a\.csv' should fit in memory.*no more"):
        files.read(tmp_path / "a.csv")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"a\.csv' should be a file or a folder\. Received: a pipe"):
        files.read(tmp_path / "a.csv")


def external_storage(file, outside):
    file.create_dataset("x", (3, 2), "f8", external=[(str(outside), 0, h5py.h5f.UNLIMITED)])


def virtual_storage(file, outside):
    with h5py.File(outside, "w") as other:
        other["secret"] = np.ones((3, 2))
    layout = h5py.VirtualLayout((3, 2), "f8")
    layout[:] = h5py.VirtualSource(str(outside), "secret", (3, 2))
    file.create_virtual_dataset("x", layout)


def linked_part(file, outside):
    with h5py.File(outside, "w") as other:
        other["secret"] = np.ones(3)
    group = file.create_group("x")
    group["data"], group["indptr"] = h5py.ExternalLink(str(outside), "secret"), np.arange(4)
    group["indices"], group.attrs["shape"] = np.zeros(3, int), (3, 2)


def part_by_two_links(file, outside):
    linked_part(file, outside)
    file["door"] = h5py.ExternalLink(str(outside), "secret")
    del file["x"]["data"]
    file["x"]["data"] = h5py.SoftLink("/door")


def linked_matlab_part(file, outside):
    """In the way of MATLAB 7.3, whose user block says what it is."""
    with h5py.File(outside, "w") as other:
        other["secret"] = np.ones(3)
    group = file.create_group("x")
    group.attrs["MATLAB_sparse"] = np.uint64(3)
    group["data"], group["ir"] = h5py.ExternalLink(str(outside), "secret"), np.arange(3)
    group["jc"] = np.array([0, 2, 3])


@pytest.mark.parametrize(
    ("spoil", "extension"),
    [
        (external_storage, "h5"),
        (virtual_storage, "h5"),
        (linked_part, "h5"),
        (part_by_two_links, "h5"),
        (linked_matlab_part, "mat"),
        (external_storage, "mat"),
    ],
)
def test_nothing_outside_of_an_hdf5_file_is_read(spoil, extension, tmp_path):
    outside, path = tmp_path / "secret", tmp_path / f"a.{extension}"
    outside.write_bytes(bytes(64))
    with h5py.File(path, "w", userblock_size=512 if extension == "mat" else 0) as file:
        spoil(file, outside)
    if extension == "mat":
        with open(path, "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(ValueError, match=rf"a\.{extension}' should hold its values itself"):
        files.read(path)


def test_a_link_at_the_top_is_no_array(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["secret"] = np.ones((3, 2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = h5py.ExternalLink("secret.h5", "secret")
    with pytest.raises(ValueError, match="no array 'x'"):
        files.read(tmp_path / "a.h5", key="x")


@pytest.mark.parametrize("name", ["obs", "obsm"])
def test_nothing_outside_of_an_anndata_file_is_written(name, tmp_path):
    anndata(tmp_path / "a.h5ad")
    anndata(tmp_path / "outside.h5ad")
    before = (tmp_path / "outside.h5ad").read_bytes()
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        if name in file:
            del file[name]
        file[name] = h5py.ExternalLink(str(tmp_path / "outside.h5ad"), "obs")
    with pytest.raises(ValueError, match="a link to another file"):
        hdf5.check_observations(tmp_path / "a.h5ad")
    with pytest.raises(ValueError, match="a link to another file"):
        hdf5.write_observations(tmp_path / "a.h5ad", {"c": np.arange(3)}, np.zeros((3, 2)))
    assert (tmp_path / "outside.h5ad").read_bytes() == before


def test_the_command_names_file_and_promise(tmp_path, capsys):
    npy(tmp_path / "a.npy")
    assert cli.main(["fit", str(tmp_path / "a.npy"), "-k", "2"]) == 1
    assert "promises 35,184,372,088,832 bytes" in capsys.readouterr().err
