//! Decoders before every cut, every broken end and every bomb.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;

use flate2::Compression;
use proptest::prelude::*;

use super::*;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn coded(coding: Coding, text: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            writer.write_all(text).unwrap();
            writer.finish().unwrap()
        }
        Coding::Deflate => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            writer.write_all(text).unwrap();
            writer.finish().unwrap()
        }
        Coding::Brotli => {
            let mut out = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
            writer.write_all(text).unwrap();
            drop(writer);
            out
        }
        Coding::Zstd => zstd::encode_all(text, 3).unwrap(),
    }
}

fn bare(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn decoded(coding: Coding, pieces: &[&[u8]]) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(coding)?;
    let mut out = BytesMut::new();
    for piece in pieces {
        let mut input = *piece;
        while !input.is_empty() || decoder.pending() {
            let before = out.len();
            decoder.step(&mut input, &mut out)?;
            assert!(out.len() - before <= STEP + 2);
        }
    }
    decoder.finish()?;
    Ok(out.to_vec())
}

#[test]
fn every_cut_decodes_the_same() {
    let text = b"{\"model\":\"gpt-5-mini\",\"messages\":[{\"content\":\"hi hi hi hi hi\"}]}";
    for coding in ALL {
        let whole = coded(coding, text);
        for cut in 0..=whole.len() {
            let (left, right) = whole.split_at(cut);
            assert_eq!(
                decoded(coding, &[left, right]).unwrap(),
                text,
                "{coding:?} at {cut}"
            );
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(decoded(coding, &bytes).unwrap(), text, "{coding:?}");
    }
    let whole = bare(text);
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(decoded(Coding::Deflate, &bytes).unwrap(), text);
}

#[test]
fn every_broken_end_is_an_error() {
    let text = b"some text that is long enough to be cut into pieces of it";
    for coding in ALL {
        let whole = coded(coding, text);
        for end in 1..whole.len() {
            assert!(
                decoded(coding, &[&whole[..end]]).is_err(),
                "{coding:?} to {end}"
            );
        }
        let more = [&whole[..], b"{}"].concat();
        assert!(decoded(coding, &[&more]).is_err(), "{coding:?}");
        assert!(decoded(coding, &[b"{\"model\":1}"]).is_err(), "{coding:?}");
        assert_eq!(decoded(coding, &[]).unwrap(), b"", "{coding:?}");
        assert_eq!(
            decoded(coding, &[&coded(coding, b"")]).unwrap(),
            b"",
            "{coding:?}"
        );
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let two = [coded(coding, b"one "), coded(coding, b"two")].concat();
        assert_eq!(decoded(coding, &[&two]).unwrap(), b"one two", "{coding:?}");
        let bytes: Vec<&[u8]> = two.chunks(1).collect();
        assert_eq!(decoded(coding, &bytes).unwrap(), b"one two", "{coding:?}");
    }
}

#[test]
fn what_is_flushed_comes_out_at_once() {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(b"data: one\n\n").unwrap();
    writer.flush().unwrap();
    let mut decoder = Decoder::new(Coding::Gzip).unwrap();
    let mut out = BytesMut::new();
    let sent = writer.get_ref().clone();
    let mut input = sent.as_slice();
    while !input.is_empty() {
        decoder.step(&mut input, &mut out).unwrap();
    }
    assert_eq!(&out[..], b"data: one\n\n");
}

#[test]
fn a_bomb_is_noticed_before_it_goes_off() {
    let zeros = vec![0_u8; 8 << 20];
    for coding in ALL {
        let bomb = coded(coding, &zeros);
        let mut decoder = Decoder::new(coding).unwrap();
        let (mut input, mut made) = (bomb.as_slice(), 0);
        let noticed = loop {
            let mut out = BytesMut::new();
            decoder.step(&mut input, &mut out).unwrap();
            made += out.len();
            if decoder.in_proportion().is_err() {
                break true;
            }
            if input.is_empty() && !decoder.pending() {
                break false;
            }
        };
        assert!(noticed && made < 3 << 20, "{coding:?}: {made}");
    }
}

#[test]
fn headers_name_one_coding() {
    let of = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("content-encoding", http::HeaderValue::from_static(value));
        }
        super::of(&headers)
    };
    for (values, coding) in [
        (&[][..], None),
        (&["identity"], None),
        (&["GZip"], Some(Coding::Gzip)),
        (&["x-gzip, identity"], Some(Coding::Gzip)),
        (&["deflate"], Some(Coding::Deflate)),
        (&["br"], Some(Coding::Brotli)),
        (&["zstd"], Some(Coding::Zstd)),
    ] {
        assert_eq!(of(values).unwrap(), coding, "{values:?}");
    }
    assert!(matches!(of(&["gzip", "br"]), Err(CodingError::Several)));
    assert!(matches!(of(&["gzip, gzip"]), Err(CodingError::Several)));
    assert!(matches!(of(&["compress"]), Err(CodingError::Unknown(_))));
}

proptest! {
    #[test]
    fn whatever_was_coded_comes_back(
        text in prop::collection::vec(any::<u8>(), 0..3000),
        cuts in prop::collection::vec(0usize..3000, 0..8),
        which in 0usize..4,
    ) {
        let whole = coded(ALL[which], &text);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
        prop_assert_eq!(decoded(ALL[which], &pieces).unwrap(), text);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0usize..4) {
        drop(decoded(ALL[which], &[&bytes]));
    }
}
