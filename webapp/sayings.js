// What each wood says, and the words of the page, in both languages. Written for this project.
// In Chinese a line break is where a column ends, if the screen is high enough.
// SPDX-License-Identifier: Apache-2.0

export const sayings = {
    oak: {
        en: 'The acorn was never in a hurry. Look how much sky it holds up now.',
        hk: '橡實從來不趕時間，\n如今卻托起了半片天。',
    },
    walnut: {
        en: 'Good things darken slowly. Give today a little longer.',
        hk: '好東西的顏色，\n都是慢慢沉下來的。\n今天也別催它。',
    },
    cherry: {
        en: 'Every hand that rests here leaves it one shade warmer.',
        hk: '每一隻停過的手，\n都讓它暖了一分。',
    },
    maple: {
        en: 'It takes a whole winter in the cold to become this sweet.',
        hk: '要熬過一整個冬天，\n才有這一點甜。',
    },
    ash: {
        en: 'What bends with you today will carry you tomorrow.',
        hk: '今天肯跟你彎一彎的，\n明天就撐得起你。',
    },
    pine: {
        en: 'Every knot is a place where a branch once reached for the light.',
        hk: '每一個木節，\n都是樹枝曾經\n伸手去摸陽光的地方。',
    },
    teak: {
        en: 'The sea kept asking for a hundred years. Teak gave one answer: still here.',
        hk: '大海問了它一百年，\n它只答了一句：\n我還在。',
    },
    rosewood: {
        en: 'Strike one true note, and even the silence leans in to listen.',
        hk: '只要有一個音彈準了，\n連寂靜也會坐近一點。',
    },
    ebony: {
        en: 'Quiet weighs more than it looks.',
        hk: '安靜這回事，\n拿上手才知道有多重。',
    },
    olive: {
        en: 'It grew around every trouble. Now the troubles are the pattern.',
        hk: '它繞過一個又一個難處，\n後來，難處都成了花紋。',
    },
    bamboo: {
        en: 'Not a wood at all, says the botanist. Touch it anyway: luck never studied botany.',
        hk: '植物學家說竹不是木。\n不要緊，先摸一摸，\n運氣沒有讀過植物學。',
    },
    camphor: {
        en: 'Open the old chest: someone’s care is still in there, keeping the moths away.',
        hk: '打開嫲嫲的樟木櫳，\n她那份細心，\n到今天還在替你防蟲。',
    },
};

// lang: the page's language tag. The keys below are data-text attributes in index.html, or used by app.js.
export const texts = {
    en: {
        lang: 'en',
        other: '繁體中文',
        title: 'Touchwood',
        deck: 'Woods and their sayings',
        previous: 'Previous wood',
        next: 'Next wood',
        like: wood => `Like ${wood}`,
        place: 'Share my location',
        card: (number, count, wood, saying) => `${number} of ${count}. ${wood}. ${saying}`,
        askTitle: 'Where do you touch wood?',
        askBody: 'Touchwood would like to put a dot on its map where people touch wood. If you agree, your browser asks '
            + 'you once more, and then your position is sent to this site, one time. It is not kept on this device.',
        share: 'Share my location',
        notNow: 'Not now',
        asking: 'Asking your browser …',
        shared: 'Thank you. You are on the map.',
        refused: 'That is fine. Nothing was sent.',
        denied: 'Your browser keeps your location from this site. Its settings can change that.',
        insecure: 'Browsers tell a location only to pages with https. Please open this one so.',
        lost: 'Your device could not tell where it is. Please try again later.',
        optedOut: 'Your browser asks sites not to track you, so nothing is sent from here.',
    },
    hk: {
        lang: 'zh-Hant-HK',
        other: 'English',
        title: '摸木',
        deck: '木與木的話',
        previous: '上一種木',
        next: '下一種木',
        like: wood => `喜歡${wood}`,
        place: '分享我的位置',
        card: (number, count, wood, saying) => `第${number}張，共${count}張。${wood}。${saying}`,
        askTitle: '你在哪裡摸木？',
        askBody: '我們想在地圖上畫一點，看看大家都在哪裡摸木。如果你願意，瀏覽器會再問你一次，然後把你的位置傳到本網站，'
            + '只傳一次，也不會留在這部裝置上。',
        share: '分享我的位置',
        notNow: '暫時不要',
        asking: '正在詢問瀏覽器……',
        shared: '多謝，地圖上已經有你的一點。',
        refused: '沒關係，甚麼都沒有傳送。',
        denied: '瀏覽器不會把你的位置告訴本網站。你可以在瀏覽器的設定中更改。',
        insecure: '瀏覽器只會把位置告訴使用 https 的網頁，請改用 https 開啟本頁。',
        lost: '裝置暫時找不到位置，請稍後再試。',
        optedOut: '你的瀏覽器要求網站不要追蹤，所以這裡不會傳送任何資料。',
    },
};
