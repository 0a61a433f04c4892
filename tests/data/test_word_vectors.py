"""Tests of files of word vectors, nearest words, analogies and similarities."""

import numpy as np
import pytest

from jaxdl.data import Analogy, Similarity, WordVectors, agreement, answers, read_word_vectors
from jaxdl.data.vectors import read_vectors
from jaxdl.data.vocabulary import Vocabulary
from jaxdl.data.word_tests import read_analogies, read_similarities, read_word_tests
from jaxdl.errors import InputError

WORDS = ("the", "élan", "中", "don't", "x")
ARRAY = np.random.RandomState(0).normal(size=(5, 7)).astype(np.float32) * np.float32(1e-3)
VECTORS = WordVectors(WORDS, ARRAY)
FORMS = {"word2vec": "v.txt", "glove": "v.txt", "binary": "v.bin"}


@pytest.mark.parametrize("form", FORMS)
def test_files_are_read_back_equal(tmp_path, form):
    path = tmp_path / FORMS[form]
    VECTORS.write(path, form)
    found = read_word_vectors(path)
    assert found.words == WORDS
    np.testing.assert_array_equal(found.array, ARRAY)
    assert read_word_vectors(path, 2).words == WORDS[:2]
    rows, known = read_vectors(path, Vocabulary.build("x élan other", "word"))
    assert known.sum() == 2
    np.testing.assert_array_equal(rows[known], ARRAY[[4, 1]])


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
@pytest.mark.parametrize("form", FORMS)
def test_gensim_reads_the_files(tmp_path, form):
    gensim = pytest.importorskip("gensim")
    path = tmp_path / FORMS[form]
    VECTORS.write(path, form)
    options = {"binary": form == "binary", "no_header": form == "glove"}
    found = gensim.models.KeyedVectors.load_word2vec_format(path, **options)
    assert tuple(found.index_to_key) == WORDS
    np.testing.assert_array_equal(found.vectors, ARRAY)
    found.save_word2vec_format(tmp_path / "back.bin", binary=True)
    np.testing.assert_array_equal(read_word_vectors(tmp_path / "back.bin").array, ARRAY)


def test_a_binary_file_that_is_cut_off_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "v.bin"
    VECTORS.write(path, "binary")
    whole = path.read_bytes()
    for size in (len(whole) - 3, len(whole) - 7 * 4 - 2, 12):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="the end of the file.*a complete file") as caught:
            read_word_vectors(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"no header\n" + whole)
    with pytest.raises(InputError, match="a header 'count D'"):
        read_word_vectors(path)
    path.write_bytes(b"1 1\n" + 2000 * b"x")
    with pytest.raises(InputError, match="a word of more than 1000 bytes"):
        read_word_vectors(path)
    path.write_bytes(b"1 1\nx " + np.float32(np.nan).tobytes())
    with pytest.raises(InputError, match="not finite"):
        read_word_vectors(path)


@pytest.mark.parametrize("lines", [2, 6])
def test_a_text_has_as_many_vectors_as_its_header(tmp_path, lines):
    path = tmp_path / "v.txt"
    path.write_text("5 2\n" + "".join(f"w{i} 1 2\n" for i in range(lines)))
    with pytest.raises(InputError, match=f"got '{lines} vectors', allowed: 5, as in the file's"):
        read_word_vectors(path)
    assert read_word_vectors(path, 2).words == ("w0", "w1")


@pytest.mark.parametrize("name", ["v.bin.gz", "v.txt.gz"])
def test_compressed_files_are_read_back_equal(tmp_path, name):
    form = "binary" if name == "v.bin.gz" else "word2vec"
    VECTORS.write(tmp_path / name, form)
    np.testing.assert_array_equal(read_word_vectors(tmp_path / name).array, ARRAY)


def test_words_to_leave_out_need_no_vector():
    for without in (["unknown"], ["unknown", "the"], []):
        words = [word for word, _ in VECTORS.nearest("x", 9, without)]
        assert set(words) == set(WORDS) - {"x", *without}


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_vectors_are_finite(bad):
    array = ARRAY.astype(np.float64)
    array[1, 2] = bad
    with pytest.raises(InputError) as caught:
        WordVectors(WORDS, array)
    assert str(caught.value) == (
        "vector of 'élan': got 'a number that is not finite', allowed: finite float32"
    )


def test_a_vector_of_another_width_is_an_error(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\nb 1 2 3\n")
    with pytest.raises(InputError, match="line 2: got '3 numbers', allowed: a word and 2 numbers"):
        read_word_vectors(path)
    path.write_text("")
    with pytest.raises(InputError, match="a file with words"):
        read_word_vectors(path)


def test_nearest_words_and_analogies_equal_loops():
    random = np.random.RandomState(1)
    words = tuple(f"w{i}" for i in range(40))
    vectors = WordVectors(words, random.normal(size=(40, 6)).astype(np.float32))
    unit = vectors.array / np.linalg.norm(vectors.array, axis=1, keepdims=True)
    cosines = {w: float(unit[3] @ unit[i]) for i, w in enumerate(words) if i != 3}
    best = sorted(cosines, key=lambda word: -cosines[word])[:5]
    assert [word for word, _ in vectors.nearest("w3", 5)] == best
    questions = [Analogy(*(words[i] for i in random.choice(40, 4, False))) for _ in range(60)]
    right = 0
    for a, b, c, d, _ in questions:
        target = unit[words.index(b)] - unit[words.index(a)] + unit[words.index(c)]
        scores = {w: unit[i] @ target for i, w in enumerate(words) if w not in (a, b, c)}
        expected = max(scores, key=lambda word: scores[word])
        assert vectors.analogy(a, b, c, 1)[0][0] == expected
        right += expected == d
    found = answers(vectors, questions)
    assert (found.accuracy, found.questions) == (right / 60, 60)
    few = answers(vectors, questions, 30)
    known = [q for q in questions if all(words.index(word) < 30 for word in q[:4])]
    assert few.questions == len(known)
    assert few.out_of_vocabulary == pytest.approx(1 - len(known) / 60)


def test_the_rank_correlation_is_that_of_scipy():
    from scipy.stats import spearmanr

    random = np.random.RandomState(2)
    words = tuple(f"w{i}" for i in range(30))
    vectors = WordVectors(words, random.normal(size=(30, 3)).astype(np.float32))
    chosen = [random.choice(30, 2, False) for _ in range(50)]
    pairs = [Similarity(words[i], words[j], float(random.randint(5))) for i, j in chosen]
    expected = spearmanr(
        [vectors.similarity(a, b) for a, b, _ in pairs], [score for *_, score in pairs]
    )[0]
    found = agreement(vectors, [*pairs, Similarity("w1", "unknown", 1.0)])
    assert found.spearman == pytest.approx(expected)
    assert found.out_of_vocabulary == pytest.approx(1 / 51)
    assert np.isnan(agreement(vectors, pairs[:1]).spearman)


def test_files_of_tests(tmp_path):
    with pytest.raises(InputError, match="a directory with wordsim353.tsv and questions-words.txt"):
        read_word_tests(tmp_path)
    (tmp_path / "wordsim353.tsv").write_text("# a comment\nTiger\tcat\t7.35\nsun\tmoon\t4\n")
    (tmp_path / "questions-words.txt").write_text(": family\nboy girl Man woman\n")
    pairs, questions = read_word_tests(tmp_path)
    assert pairs == [Similarity("tiger", "cat", 7.35), Similarity("sun", "moon", 4.0)]
    assert questions == [Analogy("boy", "girl", "man", "woman", "family")]
    (tmp_path / "bad").write_text("a b 1\na b c\n")
    with pytest.raises(InputError, match="line 2: got 'a b c', allowed: two words and a finite"):
        read_similarities(tmp_path / "bad")
    (tmp_path / "commas").write_text("a b 1\n,,,\n")
    with pytest.raises(InputError, match="line 2: got ',,,', allowed: two words and a finite"):
        read_similarities(tmp_path / "commas")
    with pytest.raises(InputError, match="line 1: got 'a b 1', allowed: four words"):
        read_analogies(tmp_path / "bad")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VECTORS.similarity("the", "no"), "word: got 'no', allowed: one of the 5 words"),
        (lambda: VECTORS.nearest(np.ones(3)), "vector shape: got \\(3,\\), allowed: \\[7\\]"),
        (lambda: VECTORS.write("v.txt", "csv"), "form: got 'csv'"),
        (lambda: VECTORS.write("v.txt", "binary"), "path: got 'v.txt', allowed: a name that ends"),
        (lambda: VECTORS.write("v.bin.gz"), "path: got 'v.bin.gz', allowed: a name without .bin"),
        (lambda: WordVectors(("a", "a"), ARRAY[:2]), "words: got '1 again'"),
        (lambda: WordVectors(("a",), ARRAY[:2]), "array: got 'float32\\[2, 7\\]'"),
        (lambda: WordVectors(("a b",), ARRAY[:1]).write("v.txt"), "words without white space"),
    ],
)
def test_bad_values_are_errors_of_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
